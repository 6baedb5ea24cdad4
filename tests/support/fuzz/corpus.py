"""Inputs that once ended in a traceback, a dead parser, without end, without a place, or were taken
for something else in silence; each with the beginning of what is told now ("": it is taken)."""

from __future__ import annotations

STAGE = b"experiment: x\nstages:\n  train:\n    command: echo {seed}\n    matrix: {seed: [0, 1]}\n"


def stage(line: bytes) -> bytes:
    """An experiment of one stage, with a further key in its line 6."""
    return STAGE + b"    " + line + b"\n"


def drawn(what: bytes) -> bytes:
    """An experiment that draws the values of an axis."""
    return stage(b"random: {n: 2, axes: {lr: {" + what + b"}}}")


DOUBLED = b"".join(b"  v%d: '${v%d}${v%d}'\n" % (n, n + 1, n + 1) for n in range(40))
LISTS = b"".join(b"  v%d: ['${v%d}', '${v%d}']\n" % (n, n + 1, n + 1) for n in range(40))
CHAIN = b"".join(b"  v%d: '${v%d}'\n" % (n, n + 1) for n in range(2000))
NESTED = b"".join(b"  v%d: [[[[[[[[[['${v%d}']]]]]]]]]]\n" % (n, n + 1) for n in range(100))
LAUGHS = b"".join(
    b"v%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 9)
)
BESIDE_CHECKPOINTS = b"""experiment: x
stages:
  a: {command: ls}
  b: {engine: evaluation, for_each: a, checkpoints: last, config: {of: m}}
"""

CORPUS: list[tuple[str, bytes, str]] = [
    # Before the parser.
    ("experiment", b"a: \xff\n", "x.yaml:1: not UTF-8: the byte 0xff"),
    ("experiment", b"a: b\nc: \xed\xa0\x80\n", "x.yaml:2: not UTF-8: the byte 0xed"),
    ("experiment", b"a: b\nc: \x07\n", "x.yaml:2: not YAML: the character U+0007"),
    ("overrides", b"train.command=\xff", "--set train.command=\\udcff: not YAML: the character U+DCFF"),
    ("experiment", b"#" * (1 << 20) + b"\n", "x.yaml: more than 1048576 bytes"),
    ("experiment", b"a: " + b"[" * 5000, "x.yaml:1: more than 50 lists and mappings"),
    ("experiment", b"".join(b" " * n + b"a:\n" for n in range(900)), "x.yaml:50: more than 50 lists"),
    ("experiment", b"a: " + b"- " * 5000, "x.yaml:1: not YAML: "),
    ("suite", b"{a: " * 5000, "suite.yaml:1: more than 50 lists and mappings"),
    ("experiment", b"v0: &a0 [x]\n" + LAUGHS, "x.yaml:6: more than 50000 values, aliases counted"),
    ("data", b"a: &a [*a]", "tasks.yaml:1: an alias that contains itself"),
    ("profile", b"kind: *none", "site.yaml:1: no '&none' before '*none'"),
    ("experiment", STAGE + b"---\n" + STAGE, "x.yaml:6: another document begins here"),
    # Scalars and tags.
    ("experiment", stage(b'environment: {A: "\\ud800"}'), "x.yaml:6: '\\ud800' holds half of a character"),
    ("experiment", stage(b'environment: {A: "\\ud83d\\ude00"}'), ""),
    ("experiment", stage(b'environment: {A: "a\\0b"}'), "x.yaml:6: 'a\\x00b' holds a NUL character"),
    ("experiment", b"snapshot: !!bool maybe\n" + STAGE, "x.yaml:1: 'maybe' is no bool, as its tag says"),
    ("experiment", b"about: !!null foo\n" + STAGE, "x.yaml:1: 'foo' is no null, as its tag says"),
    ("experiment", stage(b"!!int a: 3"), "x.yaml:6: 'a' is no int, as its tag says"),
    ("experiment", stage(b"after: !odd [a]"), "x.yaml:6: tag '!odd' does not fit a list"),
    ("experiment", stage(b"resources: !!set {gpus: 1}"), "x.yaml:6: tag '!!set' does not fit a mapping"),
    ("experiment", stage(b"resources: {minutes: " + b"9" * 5000 + b"}"), "x.yaml:6: '999"),
    ("experiment", stage(b"resources: {minutes: " + b"9" * 300 + b"}"), "x.yaml:6: '999"),
    ("experiment", stage(b"at_once: 18446744073709551616"), "x.yaml:6: '18446744073709551616' is beyond"),
    ("experiment", STAGE.replace(b"[0, 1]", b"[.nan, 1]"), "x.yaml:5: '.nan' is no number that JSON"),
    ("config", b"temperature: 1e999", "config.yaml:1: '1e999' is no number that JSON"),
    ("json_config", b'{"models": {"folder": "a", "checkpoints": "last"}, "data": {"a": "b"}, "temperature": NaN}', "config.json: line 1: temperature: "),
    ("json_config", b'{"seed": ' + b"9" * 5000 + b"}", "config.json:1: '999"),
    ("json_config", b'{"seed": 1,\n"seed": 2}', "config.json:2: key 'seed' is here twice"),
    ("json_config", b'{"data": {"a": "\\ud800"}}', "config.json:1: '\\ud800' holds half of a character"),
    ("experiment", stage(b"k" * 201 + b": 1"), "x.yaml:6: a key of 201 characters"),
    ("experiment", b"about: " + b"y" * 200_000 + b"\n" + STAGE, "x.yaml:1: a text of 200000 characters"),
    # Tags, directives, keys and characters that YAML has and nobody should meet.
    ("experiment", b"about: !!timestamp 2020-01-01\n" + STAGE, "x.yaml:1: tag '!!timestamp' is not known"),
    ("experiment", b"about: 2020-01-01\n" + STAGE, ""),
    ("experiment", b"about: !!binary aGVsbG8=\n" + STAGE, "x.yaml:1: tag '!!binary' is not known"),
    ("experiment", b"about: !!python/object/apply:os.system ['touch x']\n" + STAGE, "x.yaml:1: tag '!!python/object/apply:os.system' does not fit a list"),
    ("experiment", b"%TAG ! tag:evil.org,2000:\n---\nabout: !x y\n" + STAGE, "x.yaml:3: tag 'tag:evil.org,2000:x' is not known"),
    ("experiment", b"%YAML 9.9\n---\n" + STAGE, "x.yaml:1: not YAML: found incompatible YAML document"),
    ("experiment", stage(b"<<: {after: []}"), "x.yaml:6: stage 'train': unknown key '<<'"),
    ("experiment", STAGE + b"  b: &b\n    <<: *b\n    command: ls\n", "x.yaml:7: an alias that contains itself"),
    ("experiment", stage(b"zip: {1: [1], true: [2]}"), "x.yaml:6: key 'True' is here twice"),
    ("experiment", STAGE + b"  2020-01-01: {command: ls}\n", "x.yaml:6: stage name '2020-01-01' must be"),
    ("experiment", STAGE + b"  ? [a, b]\n  : command: ls\n", "x.yaml:6: a key must be one word"),
    ("experiment", STAGE + "  tr\u0430in: {command: ls}\n".encode(), "x.yaml:6: stage name 'tr"),
    ("experiment", STAGE + "  tr\u202eain: {command: ls}\n".encode(), "x.yaml:6: stage name 'tr\\u202eain' must be"),
    ("experiment", STAGE + "  b:\n\u00a0   command: ls\n".encode(), "x.yaml:6: stage 'b': must be a mapping"),
    ("experiment", STAGE + "  b:\n    command: ls\u2028rm x\n".encode(), "x.yaml:9: not YAML: "),
    ("experiment", STAGE.decode().encode("utf-16"), "x.yaml:1: not UTF-8: the byte 0xff"),
    ("experiment", STAGE.decode().encode("utf-16-le"), "x.yaml:1: not YAML: the character U+0000"),
    ("experiment", b"\xef\xbb\xbf" + STAGE, ""),
    ("experiment", b"\xef\xbb\xbf" * 2 + STAGE, "x.yaml:1: not YAML: the character U+FEFF"),
    ("experiment", STAGE.replace(b"\n", b"\r"), ""),
    ("experiment", STAGE.replace(b"    ", b"\t"), "x.yaml:4: not YAML: found character '\\t'"),
    ("experiment", stage(b"resources: {minutes: 1:30}"), "x.yaml:6: stage 'train': resources: minutes must be a whole number from 1 to 10000000"),
    ("experiment", stage(b"resources: {minutes: 0x7fffffffffffffff}"), "x.yaml:6: stage 'train': resources: minutes must be a whole number from 1 to 10000000"),
    ("overrides", b"<<.x=5", "--set <<.x=5: no stage '<<'"),
    ("overrides", b"train.matrix.seed=&a [*a]", "--set train.matrix.seed=&a [*a]: an alias that contains itself"),
    ("overrides", b"train.matrix.seed.-1=5", "--set train.matrix.seed.-1=5: '-1' lies below"),
    ("json_config", b'{"models": {"folder": "a", "checkpoints": "last"}, "data": {"a": "b"}, "temperature": 1e400}', "config.json:1: '1e400' is no number that JSON"),
    ("messages", b'mail: "a\\nBcc: x@y"', "orch/notify.yaml:1: 'mail' must be an address"),
    ("messages", b"mail: -oQ/tmp", "orch/notify.yaml:1: 'mail' must be an address"),
    ("messages", b"webhook_env: A=B", "orch/notify.yaml:1: 'webhook_env' must be the name of a variable"),
    # Keys and values of the wrong kind.
    ("experiment", stage(b"sbatch: {5: 5}"), "x.yaml:6: stage 'train': 'sbatch': key 5 must be text"),
    ("profile", b"kind: slurm\nsbatch: {null: 5}", "site.yaml:2: profile: 'sbatch': key None must be text"),
    ("experiment", stage(b"5: 5"), "x.yaml:6: stage 'train': key 5 must be text"),
    ("experiment", stage(b"config: {5: 5}"), "x.yaml:6: stage 'train': key 5 must be text"),
    ("experiment", stage(b"when: {metric: [a], of: train, at_least: 1}"), "x.yaml:6: stage 'train': when: metric ['a']"),
    ("experiment", stage(b"when: {metric: loss, of: train, at_least: 1, for: " + b"9" * 5000 + b" of 2}"), "x.yaml:6: stage 'train': when: 'for' must be such as 2 of 3"),
    ("experiment", BESIDE_CHECKPOINTS, "x.yaml:4: stage 'b': config: 'of' would make the whole config"),
    ("experiment", b"experiment: " + b"x" * 400, "x.yaml:1: 'experiment' must be a name of letters"),
    ("experiment", STAGE.replace(b"train:", b'"train\\n":'), "x.yaml:3: stage name 'train\\n' must be"),
    ("experiment", drawn(b"uniform: [-1e308, 1e308]"), "x.yaml:6: stage 'train': random: lr: 'uniform': the two are too far apart"),
    ("experiment", drawn(b"log_uniform: [1e-320, 1e308]"), "x.yaml:6: stage 'train': random: lr: 'log_uniform': the two are too far apart"),
    ("experiment", drawn(b"uniform: [9007199254740992, 9007199254740993]"), "x.yaml:6: stage 'train': random: lr: 'uniform' must be the least and the largest"),
    ("experiment", drawn(b"integers: [0, 18446744073709551615]"), "x.yaml:6: stage 'train': random: lr: 'integers' must be whole numbers of at most 2^53"),
    # Without end.
    ("experiment", stage(b"pairs: {ordered: [" + b",".join(b"%d" % n for n in range(1500)) + b"]}"), "x.yaml:6: stage 'train': 'pairs': 1500 values have too many pairs"),
    ("experiment", STAGE.replace(b"{seed: [0, 1]}", b"{" + b", ".join(b"a%d: [1, 2, 3]" % n for n in range(90)) + b"}"), "x.yaml:5: stage 'train': its axes have "),
    ("experiment", stage(b"random: {n: 1000000000, axes: {lr: {uniform: [0, 1]}}}"), "x.yaml:6: stage 'train': random: 'n' must say how many points are drawn"),
    ("experiment", stage(b"search: {metric: m, rounds: 1000000, n: 1000000, axes: {lr: {uniform: [0, 1]}}}"), "x.yaml:6: stage 'train': search: 'rounds' must say how many"),
    ("experiment", b"vars:\n" + DOUBLED + b"  v40: x\n" + STAGE, "x.yaml:"),
    ("experiment", b"vars:\n" + LISTS + b"  v40: x\n" + STAGE, "x.yaml:"),
    ("experiment", b"vars:\n" + CHAIN + b"  v2000: x\n" + STAGE, "x.yaml:51: vars: more than 50 use one another in a row"),
    ("experiment", b"vars:\n" + NESTED + b"  v100: x\n" + STAGE, "x.yaml:"),
    ("overrides", b"train." + b"a." * 3000 + b"b=1", "--set train.a.a."),
    ("profile", b"kind: slurm\ntrack: [" + b"{}," * 2000 + b"]", "site.yaml:2: profile: "),
    # Files.
    ("experiment", b"include: ~nobody-of-that-name/x.yaml\n" + STAGE, "x.yaml:1: include: '~nobody-of-that-name/x.yaml' is no path"),
    ("experiment", b"include: " + b"a" * 5000 + b"\n" + STAGE, "x.yaml:1: include: aaa"),
    ("experiment", b"include: /dev/zero\n" + STAGE, "x.yaml:1: include: /dev/zero: cannot be read: it is a folder, a pipe or a device"),
    ("included", b"include: [" + b"other.yaml, " * 200 + b"]", "x.yaml:1: include: part.yaml:1: include: more than 100 files"),
    ("suite", b"include: ~nobody-of-that-name/x.yaml", "suite.yaml:1: include: "),
    ("data", b"sums: a.parquet\nsums: b.parquet", "tasks.yaml:2: key 'sums' is here twice, first at "),
    ("data", b"sums: ~nobody-of-that-name/a.parquet", "tasks.yaml:1: '~nobody-of-that-name/a.parquet' is no path"),
]  # fmt: skip
