/* Start one plain job on the node without Python: claim, run, wait, exit record.
 *
 *     launcher PYTHON -I -S -u MAIN JOB_FOLDER ATTEMPT TOKEN
 *     launcher PYTHON -I -S -u MAIN ARRAY_FOLDER
 *     launcher --version
 *
 * In: the command of the Python program on the node (../__main__.py), and the file `launch` that orch
 * has written beside the attempt or in the array's folder (plain.py, which tells its form). Out: what
 * that program leaves of a command that ends with 0 and has written nothing, in the same files.
 * Whatever is not plain is left to Python: before anything is started by taking its place
 * (hand_over), after the end of the job with what is known (end_in_python). Nothing is ever put into
 * a shell's words. No JSON is read here, and only numbers and plain ASCII are written into it.
 *
 * There are no signal handlers: the signals that matter are blocked and waited for.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sha256.h"

#define FORM "orch launch 1"
#define LEAD 5 /* PYTHON -I -S -u MAIN */
#define RESERVED_BYTES (64 * 1024)
#define KILLED_SECONDS 10.0
#define BYTES_OF_GB 1073741824.0

extern char **environ;

/* What is known of this attempt. */
static char **python;                  /* the command that does the same: LEAD words, arguments, NULL */
static char **environment;             /* as this process came with */
static sigset_t before;                /* the signals that were blocked then */
static bool claimed;
static const char *body, *body_end;    /* of the file `launch`: pairs of key and value */
static const char *folder, *token;     /* of the job */
static char attempt[PATH_MAX], out[PATH_MAX], temporary[PATH_MAX];
static char job_id[128], start[128];   /* of the scheduler; of this process (process_start) */
static struct utsname machine;
static double started, began;          /* by the wall clock; by the monotonic one */
static long long oom_before;
static char signals[64];               /* those that came, each with a blank before it */
static volatile int refused;           /* errno of a program that could not be started ... */
static volatile bool no_folder;        /* ... or of its folder; the child writes them (vfork) */
static char text[1 << 18];             /* of the record being written */
static size_t used;

/* ---- small things ---- */

static double now(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/* Become the Python program, with these words and the environment that this process came with. */
static _Noreturn void become_python(char **words, const sigset_t *mask, int code)
{
    environ = environment;
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(words[0], words);
    printf("orch-error: cannot start %s: %s\n", words[0], strerror(errno));
    fflush(stdout);
    _exit(code ? code : 1);
}

/* The job has ended with this code, and the rest is not plain: let Python read the log, write the
 * records and clean up. The signals stay blocked until it has its handlers. */
static _Noreturn void end_in_python(int code)
{
    char numbers[4][32], *words[16];
    int count = 0;
    sigset_t mask = before;
    sigaddset(&mask, SIGTERM), sigaddset(&mask, SIGINT), sigaddset(&mask, SIGUSR2);
    snprintf(numbers[0], sizeof *numbers, "%d", code);
    snprintf(numbers[1], sizeof *numbers, "%.6f", started);
    snprintf(numbers[2], sizeof *numbers, "%.6f", began);
    snprintf(numbers[3], sizeof *numbers, "%lld", oom_before);
    for (; count < LEAD; count++)
        words[count] = python[count];
    words[count++] = (char *)"--ended";
    for (int i = 0; i < 4; i++)
        words[count++] = numbers[i];
    words[count++] = signals;
    words[count++] = temporary;
    words[count++] = (char *)folder, words[count++] = (char *)"1", words[count++] = (char *)token;
    words[count] = NULL;
    become_python(words, &mask, code);
}

/* Not plain: become the Python program as if this one had never been. Nothing has been started. */
static _Noreturn void hand_over(void)
{
    if (claimed) {
        puts("orch-error: the launcher could not prepare the job");
        fflush(stdout);
        end_in_python(1);
    }
    if (temporary[0])
        rmdir(temporary);
    become_python(python, &before, 127);
}

/* A path of two parts; too long a one is left to Python, which is told so by the system. */
static void join(char *path, const char *place, const char *name)
{
    int length = snprintf(path, PATH_MAX, "%s/%s", place, name);
    if (length < 0 || length >= PATH_MAX)
        hand_over();
}

static bool exists(const char *place, const char *name)
{
    char path[PATH_MAX];
    join(path, place, name);
    return access(path, F_OK) == 0;
}

/* The beginning of a file as a string; empty if there is none. */
static const char *beginning(const char *path, char *into, size_t size)
{
    ssize_t length = -1;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        length = read(file, into, size - 1);
        close(file);
    }
    into[length > 0 ? length : 0] = '\0';
    return into;
}

/* A whole file in memory of its own, as a mapped one that is cut meanwhile would end this process; NULL
 * if there is none, or nothing in it. */
static char *whole(const char *path, size_t *size)
{
    struct stat facts;
    char *content = NULL;
    ssize_t length = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return NULL;
    if (fstat(file, &facts) == 0 && S_ISREG(facts.st_mode))
        content = malloc((size_t)facts.st_size + 1);
    for (*size = 0; content && (length = read(file, content + *size, (size_t)facts.st_size - *size)) > 0;)
        *size += (size_t)length;
    close(file);
    if (content && *size > 0 && length == 0) {
        content[*size] = '\0';
        return content;
    }
    free(content);
    return NULL;
}

/* Whether a word may stand in JSON as it is. */
static bool is_plain(const char *word)
{
    for (; *word; word++)
        if (*word < ' ' || *word > '~' || *word == '"' || *word == '\\')
            return false;
    return true;
}

/* ---- the file `launch` ---- */

/* The next pair of the body; false at its end. What is cut short is not used at all. */
static bool next(const char **at, const char **key, const char **value)
{
    const char **parts[] = {key, value};
    *key = *value = "";
    for (int i = 0; i < 2; i++) {
        const char *end = *at < body_end ? memchr(*at, '\0', (size_t)(body_end - *at)) : NULL;
        if (!end)
            return false;
        *parts[i] = *at;
        *at = end + 1;
    }
    return true;
}

static const char *value_of(const char *wanted)
{
    const char *at = body, *key, *value;
    while (next(&at, &key, &value))
        if (!strcmp(key, wanted))
            return value;
    hand_over();
}

/* Find the part of the file that is for this process: a line for each, "INDEX BEGIN LENGTH", after a
 * line with the form; a blank line ends them. A single job has index 0. */
static void read_launch(const char *place, long index)
{
    char path[PATH_MAX];
    size_t size = 0;
    join(path, place, "launch");
    const char *file = whole(path, &size);
    const char *line = file ? memchr(file, '\n', size) : NULL;
    if (!line || (size_t)(line - file) != strlen(FORM) || memcmp(file, FORM, strlen(FORM)))
        hand_over();
    while (++line < file + size && isdigit((unsigned char)*line)) {
        char *rest;
        bool mine = strtol(line, &rest, 10) == index;
        size_t from = strtoul(rest, &rest, 10), length = strtoul(rest, &rest, 10);
        if (*rest != '\n' || from > size || length > size - from)
            hand_over();
        if (mine) {
            body = file + from;
            body_end = body + length;
            return;
        }
        line = rest;
    }
    hand_over();
}

/* Whether a file holds exactly this: what orch had read when it wrote `launch`. */
static bool holds(const char *path, const char *content)
{
    size_t size = 0;
    char *file = whole(path, &size);
    bool same = file && size == strlen(content) && !memcmp(file, content, size);
    free(file);
    return same;
}

/* Hand over unless all is as it was when orch looked, and the jobs that this one needs are done. */
static void check_launch(void)
{
    const char *at = body, *key, *value, *file = "";
    while (next(&at, &key, &value)) {
        if (!strcmp(key, "file"))
            file = value;
        else if (!strcmp(key, "holds") ? !holds(file, value)
                 : !strcmp(key, "absent") ? access(value, F_OK) == 0
                 : !strcmp(key, "need") && !exists(value, "out/results.json")
                       && !exists(value, "skipped.json"))
            hand_over();
    }
}

/* Whether the files that the job reads are untouched: the list beside basis.json, if there is one,
 * says "SIZE TIME PATH" of each. Any other one is read by Python. */
static bool same_inputs(void)
{
    char link[PATH_MAX], target[PATH_MAX - 8], path[PATH_MAX];
    join(link, attempt, "basis.json");
    ssize_t length = readlink(link, target, sizeof target - 1);
    if (length < 0)
        return errno == ENOENT;
    target[length] = '\0';
    strcat(target, ".flat");
    join(path, attempt, target);
    size_t size = 0;
    char *list = whole(path, &size), *rest;
    bool same = list && list[size - 1] == '\0';
    for (const char *at = list; same && at < list + size; at += strlen(at) + 1) {
        struct stat facts;
        long long bytes = strtoll(at, &rest, 10), time_ns = strtoll(rest, &rest, 10);
        same = *rest == ' ' && stat(rest + 1, &facts) == 0 && facts.st_size == bytes
               && facts.st_mtim.tv_sec * 1000000000LL + facts.st_mtim.tv_nsec == time_ns;
    }
    free(list);
    return same;
}

/* ---- records ---- */

/* Add to the text of the record; one that is too long is never written (put). */
__attribute__((format(printf, 1, 2))) static void add(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int length = vsnprintf(text + used, sizeof text - used, format, values);
    va_end(values);
    used = length < 0 || (size_t)length >= sizeof text - used ? sizeof text : used + (size_t)length;
    if (used == sizeof text)
        used--;
}

static void begin(void)
{
    used = 0;
}

static bool write_all(int file, const char *content, size_t size)
{
    while (size > 0) {
        ssize_t written = write(file, content, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        content += written;
        size -= (size_t)written;
    }
    return true;
}

/* Write the text as a new file. `flush`: force it to disk, as a name that is given to it afterwards would
 * stand for an empty file after a power cut. */
static bool write_text(const char *path, bool flush)
{
    /* Not through a link that somebody else may have put there. */
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (file < 0)
        return false;
    bool written = used < sizeof text - 1 && write_all(file, text, used) && (!flush || !fsync(file));
    return close(file) == 0 && written;
}

/* Write the text as a file of this name, whole or not at all, by rename. */
static bool put(const char *place, const char *name, bool flush)
{
    char path[PATH_MAX], draft[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", place, name) >= PATH_MAX
        || snprintf(draft, sizeof draft, "%s/.%s.%d.tmp", place, name, getpid()) >= PATH_MAX)
        return false;
    if (write_text(draft, flush) && rename(draft, path) == 0)
        return true;
    unlink(draft);
    return false;
}

/* Field `number` of /proc/PID/stat, counted after the name, which may hold blanks; "" if it is gone. */
static const char *field(const char *pid, int number, char *into, size_t size)
{
    char path[64], stat[1024];
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    char *at = strrchr(beginning(path, stat, sizeof stat), ')'), *rest = NULL;
    at = at ? strtok_r(at + 1, " \n", &rest) : NULL;
    while (at && number-- > 0)
        at = strtok_r(NULL, " \n", &rest);
    snprintf(into, size, "%s", at ? at : "");
    return into;
}

/* When this process started, in words that no other process has (process_start in system.py). */
static void note_start(void)
{
    char ticks[24], boot[64], first[24];
    beginning("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
    boot[strcspn(boot, "\n")] = '\0';
    snprintf(start, sizeof start, "%s@%s/%s", field("self", 19, ticks, sizeof ticks), boot,
             field("1", 19, first, sizeof first));
}

/* The scheduler's id of this job (own_id in system.py). */
static void note_job_id(void)
{
    const char *local = getenv("ORCH_JOB_ID"), *array = getenv("SLURM_ARRAY_JOB_ID");
    const char *task = getenv("SLURM_ARRAY_TASK_ID"), *slurm = getenv("SLURM_JOB_ID");
    if (local && *local)
        snprintf(job_id, sizeof job_id, "%s", local);
    else if (array && *array)
        snprintf(job_id, sizeof job_id, "%s_%s", array, task ? task : "");
    else if (slurm && *slurm)
        snprintf(job_id, sizeof job_id, "%s", slurm);
    else
        snprintf(job_id, sizeof job_id, "pid-%d", getpid());
}

/* Take the attempt for this job, by a hard link: atomic on NFS, and never half written. False if
 * somebody has it, or it cannot be written. */
static bool take(void)
{
    char draft[PATH_MAX], path[PATH_MAX], name[128];
    snprintf(name, sizeof name, ".claim.%.80s.%d", machine.nodename, getpid());
    begin();
    add("{\"token\": \"%s\", \"job_id\": \"%s\", \"host\": \"%s\", \"pid\": %d, \"start\": \"%s\", "
        "\"started\": %.6f, \"restart\": 0, \"code\": \"%s\", \"neighbours\": 0}",
        token, job_id, machine.nodename, getpid(), start, started, value_of("code"));
    join(draft, attempt, name);
    join(path, attempt, "claim.json");
    bool taken = write_text(draft, false) && link(draft, path) == 0;
    unlink(draft);
    return taken;
}

/* Keep room for the records of the end: by then the program may have filled the disk. */
static void reserve(void)
{
    static char nothing[RESERVED_BYTES]; /* not const: it would be 64 KB of the program */
    char path[PATH_MAX];
    join(path, attempt, ".reserve");
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (file >= 0) {
        write_all(file, nothing, sizeof nothing); /* without room there is none to keep */
        close(file);
    }
}

/* What the job has cost (cost.py): its first start is the only one. */
static bool put_cost(const char *host, double seconds, bool ended)
{
    double hours = atof(value_of("cpus")) * seconds / 3600;
    begin();
    add("{\n \"schema\": 1,\n \"seconds\": %.6f,\n \"cpu_hours\": %.12f,\n \"gpu_hours\": 0.0,\n"
        " \"attempts\": 1,\n \"requeues\": 0,\n \"hosts\": [\n  \"%s\"\n ],\n \"cpus\": %s,\n"
        " \"gpus\": 0,\n \"memory_gb\": %s,\n \"unknown\": [",
        seconds, hours, host, value_of("cpus"), value_of("memory"));
    if (!ended)
        add("\n  \"attempt-1 started on %s and left no exit record\"\n ", host);
    add("]\n}");
    return put(out, "cost.json", false);
}

/* The number behind a word at the beginning of a line of a file, -1 without one. */
static long long number_in(const char *path, const char *word)
{
    char content[4096];
    for (const char *line = beginning(path, content, sizeof content); *line;) {
        if (!strncmp(line, word, strlen(word)) && isdigit((unsigned char)line[strlen(word)]))
            return atoll(line + strlen(word));
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    return -1;
}

/* A number of this process's control group, of version 2 or 1: how many processes the kernel has killed
 * for want of memory, or the `peak` of the scheduler's own group of the job (usage.py). -1: it does not
 * say. */
static long long group_number(bool peak)
{
    char lines[4096], path[PATH_MAX], *rest = NULL;
    beginning("/proc/self/cgroup", lines, sizeof lines);
    for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        /* "0::/system.slice/..." in version 2, "4:memory:/slurm/uid_0/job_7" in version 1. */
        char *kind = strchr(line, ':'), *group = kind ? strchr(kind + 1, ':') : NULL;
        if (!group || (group != kind + 1 && strncmp(kind, ":memory:", 8)))
            continue;
        bool second = group == kind + 1;
        char *job = strstr(++group, "/job_");
        if (peak && job)
            job[5 + strcspn(job + 5, "/")] = '\0';
        const char *file = peak ? (second ? "memory.peak" : "memory.max_usage_in_bytes")
                                : (second ? "memory.events" : "memory.oom_control");
        snprintf(path, sizeof path, "/sys/fs/cgroup%s%s/%s", second ? "" : "/memory", group, file);
        if ((!peak || job) && access(path, F_OK) == 0)
            return number_in(path, peak ? "" : "oom_kill ");
    }
    return -1;
}

/* ---- the program ---- */

/* Make what a command finds in its output folder (open_doors in own_results.py). */
static bool open_doors(void)
{
    char path[PATH_MAX];
    join(path, out, "files");
    bool made = mkdir(path, 0777) == 0;
    join(path, out, "progress.jsonl");
    made = made && symlink("files/progress.jsonl", path) == 0;
    join(path, out, "checkpoints");
    return made && symlink("files/checkpoints", path) == 0;
}

/* Set a variable to a list: to what it holds, and one thing more behind it. */
static void append(const char *name, const char *more, const char *between)
{
    const char *list = getenv(name);
    begin();
    add("%s%s%s", list ? list : "", list && *list ? between : "", more);
    setenv(name, text, 1);
}

/* Change the variable NAME=VALUE as the key says; other keys are of something else. */
static void change(const char *key, const char *assignment)
{
    char name[128];
    const char *sign = strchrnul(assignment, '='), *value = *sign ? sign + 1 : sign;
    snprintf(name, sizeof name, "%.*s", (int)(sign - assignment), assignment);
    const char *is = getenv(name);
    if (!strcmp(key, "remove") || (!strcmp(key, "spare") && is && !*is))
        unsetenv(name);
    else if (!strcmp(key, "append"))
        append(name, value, ":");
    else if (!strcmp(key, "set") || (!is && (!strcmp(key, "default") || !strcmp(key, "local"))))
        setenv(name, value, 1);
    if (!strcmp(key, "local") && !is)
        append("ORCH_TRACKING", name, ",");
}

/* The program's environment, and its words. */
static char **prepare(void)
{
    size_t count = 0, most = (size_t)(body_end - body) / 6 + 2;
    char **words = calloc(most, sizeof *words);
    const char *at = body, *key, *value;
    size_t variables = 1; /* with the NULL at the end */
    while (environ[variables - 1])
        variables++;
    environment = malloc(variables * sizeof *environment);
    if (!words || !environment)
        _exit(1);
    /* What setenv changes is the list, not what stands in it. */
    memcpy(environment, environ, variables * sizeof *environment);
    while (next(&at, &key, &value))
        if (!strcmp(key, "word"))
            words[count++] = (char *)value;
        else
            change(key, value);
    setenv("TMPDIR", temporary, 1);
    return words;
}

/* In the child: become a program of PATH, unless its name has a slash. Returns why it cannot: of the first
 * place where it lies and cannot be started, else that it lies nowhere. */
static int execute(char **words)
{
    const char *path = strchr(words[0], '/') ? "" : getenv("PATH");
    char place[PATH_MAX];
    int why = 0, missing = ENOENT;
    for (path = path ? path : "/bin:/usr/bin";; path++) {
        size_t length = strcspn(path, ":");
        errno = ENAMETOOLONG;
        if (snprintf(place, sizeof place, "%.*s%s%s", (int)length, path, length ? "/" : "", words[0])
            < PATH_MAX)
            execve(place, words, environ);
        if (errno == ENOENT || errno == ENOTDIR)
            missing = errno;
        else if (!why)
            why = errno;
        path += length;
        if (!*path)
            return why ? why : missing;
    }
}

/* In the child, which shares the memory until it becomes the program. */
static _Noreturn void become(char **words, const char *cwd, pid_t parent)
{
    static const int usual[] = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGALRM, SIGPIPE, SIGXFSZ};
    sigset_t mask = before;
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        signal(usual[i], SIG_DFL);
        sigdelset(&mask, usual[i]);
    }
    sigprocmask(SIG_SETMASK, &mask, NULL);
    no_folder = chdir(cwd) != 0;
    int nothing = no_folder ? -1 : open("/dev/null", O_RDONLY);
    if (nothing > 0) {
        dup2(nothing, 0);
        close(nothing);
    }
    if (getppid() == parent)
        refused = no_folder || nothing < 0 ? errno : execute(words);
    _exit(127);
}

/* Close what this process has inherited above the three descriptors of every program. */
static void close_others(void)
{
    DIR *all = opendir("/proc/self/fd");
    struct dirent *one;
    while (all && (one = readdir(all)))
        if (atoi(one->d_name) > 2 && atoi(one->d_name) != dirfd(all))
            close(atoi(one->d_name));
    if (all)
        closedir(all);
}

/* Do something with each process whose field of /proc/PID/stat is this number. */
static void each_process(int number, pid_t wanted, void (*act)(const char *pid))
{
    DIR *all = opendir("/proc");
    struct dirent *one;
    char found[24];
    while (all && (one = readdir(all)))
        if (isdigit((unsigned char)one->d_name[0])
            && atoi(field(one->d_name, number, found, sizeof found)) == wanted)
            act(one->d_name);
    if (all)
        closedir(all);
}

/* Warn a process, if it has a handler: others would die of the warning, minutes before their time is up. */
static void warn(const char *pid)
{
    char path[64], status[16384];
    snprintf(path, sizeof path, "/proc/%.20s/status", pid);
    const char *caught = strstr(beginning(path, status, sizeof status), "\nSigCgt:");
    if (caught && strtoull(caught + 8, NULL, 16) >> (SIGUSR2 - 1) & 1)
        kill(atoi(pid), SIGUSR2);
}

static void end(const char *pid)
{
    kill(atoi(pid), SIGKILL);
}

/* Kill what the program has left running; all of it is a child of this process then, or becomes one. */
static void end_all(void)
{
    double deadline = now(CLOCK_MONOTONIC) + KILLED_SECONDS;
    const struct timespec pause = {0, 5000000};
    while (now(CLOCK_MONOTONIC) < deadline) {
        pid_t ended;
        while ((ended = waitpid(-1, NULL, WNOHANG)) > 0)
            ;
        if (ended < 0)
            return;
        each_process(1, getpid(), end);
        nanosleep(&pause, NULL);
    }
}

/* Note a signal and pass it on: a command may be a shell that passes nothing on, so to its whole group. */
static void forward(int number, pid_t child)
{
    const char *name = number == SIGTERM ? " SIGTERM" : number == SIGINT ? " SIGINT" : " SIGUSR2";
    if (strlen(signals) + strlen(name) < sizeof signals)
        strcat(signals, name);
    if (number == SIGUSR2)
        each_process(2, child, warn);
    else
        kill(-child, number);
}

/* Run the program to its end; its exit code, negative for a signal, 127 if it could not be started. */
static int run(char **words, const sigset_t *watched)
{
    int status;
    const char *cwd = value_of("cwd");
    pid_t ended, parent = getpid(), child = vfork();
    if (child == 0)
        become(words, cwd, parent);
    if (child < 0)
        refused = errno;
    if (refused) {
        printf("orch-error: cannot start %s: [Errno %d] %s: '%s'\n", words[0], refused,
               strerror(refused), no_folder ? cwd : words[0]);
        fflush(stdout);
        return 127;
    }
    for (;;) {
        int number = sigwaitinfo(watched, NULL);
        if (number != SIGCHLD && number > 0)
            forward(number, child);
        while (number == SIGCHLD && (ended = waitpid(-1, &status, WNOHANG)) > 0)
            if (ended == child)
                return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    }
}

/* ---- the end ---- */

/* Whether a folder holds so many things. */
static bool has(const char *place, const char *name, int wanted)
{
    char path[PATH_MAX];
    join(path, place, name);
    DIR *all = opendir(path);
    if (!all)
        return false;
    while (readdir(all))
        wanted--;
    closedir(all);
    return wanted == -2; /* "." and ".." too */
}

/* The results of a command that has written none, and what it has left: them and the two links. */
static bool put_results(void)
{
    char digits[65], path[PATH_MAX];
    struct stat facts;
    begin();
    add("{\n \"schema\": 1,\n \"engine\": \"command\",\n \"config\": {},\n \"rows\": [],\n"
        " \"seconds\": %.6f,\n \"facts\": %s\n}", now(CLOCK_MONOTONIC) - began, value_of("facts"));
    if (!put(out, "results.json", true))
        return false;
    sha256(text, used, digits);
    join(path, out, "results.json");
    if (stat(path, &facts))
        return false;
    begin();
    add("{\n \"token\": \"%s\",\n \"files\": {\n"
        "  \"progress.jsonl\": [\n   \"link\",\n   \"files/progress.jsonl\"\n  ],\n"
        "  \"checkpoints\": [\n   \"link\",\n   \"files/checkpoints\"\n  ],\n"
        "  \"results.json\": [\n   %lld,\n   %lld.%09ld,\n   \"%s\"\n  ]\n }\n}",
        token, (long long)facts.st_size, (long long)facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec, digits);
    return put(attempt, "left.json", true);
}

/* The exit record, and with it what the job has cost. */
static bool put_exit(void)
{
    const char *host = getenv("SLURMD_NODENAME");
    double seconds = now(CLOCK_MONOTONIC) - began;
    long long peak = group_number(true), oom = group_number(false);
    struct rusage spent;
    char kills[24] = "null";
    host = host && *host ? host : machine.nodename;
    getrusage(RUSAGE_CHILDREN, &spent);
    if (oom >= 0 && oom_before >= 0)
        snprintf(kills, sizeof kills, "%lld", oom - oom_before);
    begin();
    add("{\n \"token\": \"%s\",\n \"job_id\": \"%s\",\n \"pid\": %d,\n \"exit_code\": 0,\n"
        " \"host\": \"%s\",\n \"started\": %.6f,\n \"ended\": %.6f,\n \"seconds\": %.6f,\n"
        " \"results\": true,\n \"signals\": [],\n \"restart\": 0,\n \"requeued\": false,\n"
        " \"resources\": %s,\n \"state\": \"\",\n \"usage\": {\n  \"cpu_seconds\": %.6f,\n"
        "  \"memory_gb\": %.9f,\n  \"memory_of\": \"%s\"\n },\n \"neighbours\": 0,\n"
        " \"oom_kills\": %s,\n \"reason\": \"\"\n}",
        token, job_id, getpid(), host, started, now(CLOCK_REALTIME), seconds, value_of("resources"),
        (double)(spent.ru_utime.tv_sec + spent.ru_stime.tv_sec)
            + (double)(spent.ru_utime.tv_usec + spent.ru_stime.tv_usec) / 1e6,
        peak >= 0 ? (double)peak / BYTES_OF_GB : (double)spent.ru_maxrss / 1048576,
        peak >= 0 ? "job" : "largest process", kills);
    return put(attempt, "exit.json", true) && put_cost(host, seconds, true);
}

/* Leave the records of a plain end: code 0, no signal, nothing written, nothing else changed. Everything
 * else is Python's. */
static _Noreturn void leave(int code)
{
    char path[PATH_MAX];
    if (code || signals[0] || rmdir(temporary) || !has(out, "files", 0) || !has(folder, "out", 4)
        || !same_inputs() || !put_results() || !put_exit())
        end_in_python(code);
    join(path, attempt, ".reserve");
    unlink(path);
    _exit(0);
}

/* ---- the beginning ---- */

/* Hand over whatever is known from outside not to be plain. */
static void check_surroundings(void)
{
    const char *again = getenv("SLURM_RESTART_COUNT"), *host = getenv("SLURMD_NODENAME");
    bool usual = !(again && atoi(again)) && !getenv("ORCH_WRAP") && !getenv("ORCH_TRACKING");
    /* Set-up lines of the profile may have left something running, which is not the job's. */
    bool alone = waitpid(-1, NULL, WNOHANG) < 0;
    uname(&machine);
    note_start();
    note_job_id();
    if (!usual || !alone || !is_plain(token) || !is_plain(job_id) || !is_plain(start)
        || !is_plain(machine.nodename) || (host && !is_plain(host)) || !is_plain(value_of("code"))
        || exists(attempt, "claim.json") || exists(attempt, "again") || !same_inputs())
        hand_over();
}

/* Where the job lies, from the arguments and the file `launch`. */
static void find_job(int count, char **arguments)
{
    const char *task = getenv("SLURM_ARRAY_TASK_ID");
    if (count == LEAD + 3 && !strcmp(arguments[LEAD + 1], "1")) {
        join(attempt, arguments[LEAD], "attempt-1");
        read_launch(attempt, 0);
    } else if (count == LEAD + 1 && task && isdigit((unsigned char)*task))
        read_launch(arguments[LEAD], atol(task));
    else
        hand_over();
    folder = value_of("folder");
    token = value_of("token");
    if (count == LEAD + 3
        && (strcmp(folder, arguments[LEAD]) || strcmp(token, arguments[LEAD + 2])))
        hand_over();
    join(attempt, folder, "attempt-1");
    join(out, folder, "out");
}

/* Claim the attempt, with folders of its own: one that is there already is not plain. */
static void claim(void)
{
    const char *place = getenv("TMPDIR");
    struct stat facts;
    unsigned drawn;
    char name[32];
    if (!place || stat(place, &facts) || !S_ISDIR(facts.st_mode))
        place = "/tmp";
    if (getrandom(&drawn, sizeof drawn, 0) != sizeof drawn)
        hand_over();
    snprintf(name, sizeof name, "orch-%08x", drawn);
    join(temporary, place, name);
    if (mkdir(temporary, 0700)) {
        temporary[0] = '\0';
        hand_over();
    }
    if (mkdir(out, 0777) || !take())
        hand_over();
    claimed = true;
}

int main(int count, char **arguments)
{
    sigset_t watched, pending;
    if (count == 2 && !strcmp(arguments[1], "--version"))
        return puts(FORM) < 0;
    started = now(CLOCK_REALTIME);
    began = now(CLOCK_MONOTONIC);
    python = arguments + 1;
    environment = environ;
    sigemptyset(&watched);
    sigaddset(&watched, SIGTERM), sigaddset(&watched, SIGINT), sigaddset(&watched, SIGUSR2);
    sigprocmask(SIG_BLOCK, &watched, &before);
    if (count < LEAD + 2) {
        fputs("orch-error: launcher PYTHON -I -S -u MAIN ARGUMENT ...\n", stderr);
        return 2;
    }
    find_job(count - 1, python);
    check_launch();
    check_surroundings();
    claim();
    reserve();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    oom_before = group_number(false);
    put_cost(machine.nodename, 0, false);
    sigpending(&pending);
    if (!open_doors() || sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT)
        || sigismember(&pending, SIGUSR2))
        end_in_python(1); /* or asked to stop before anything was started */
    signal(SIGCHLD, SIG_DFL);
    sigaddset(&watched, SIGCHLD);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    char **words = prepare();
    close_others();
    int code = run(words, &watched);
    end_all();
    leave(code);
}
