/* SHA-256 (FIPS 180-4) of bytes in memory. Called by launcher.c for the record of what a job has left. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const uint32_t FIRST[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
static const uint32_t ROUNDS[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t turned(uint32_t word, int bits)
{
    return word >> bits | word << (32 - bits);
}

static void add_block(uint32_t state[8], const unsigned char block[64])
{
    uint32_t w[64], h[8];
    memcpy(h, state, sizeof h);
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16
               | (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++)
        w[i] = w[i - 16] + w[i - 7]
               + (turned(w[i - 15], 7) ^ turned(w[i - 15], 18) ^ w[i - 15] >> 3)
               + (turned(w[i - 2], 17) ^ turned(w[i - 2], 19) ^ w[i - 2] >> 10);
    for (int i = 0; i < 64; i++) {
        uint32_t one = h[7] + (turned(h[4], 6) ^ turned(h[4], 11) ^ turned(h[4], 25))
                       + ((h[4] & h[5]) ^ (~h[4] & h[6])) + ROUNDS[i] + w[i];
        uint32_t two = (turned(h[0], 2) ^ turned(h[0], 13) ^ turned(h[0], 22))
                       + ((h[0] & h[1]) ^ (h[0] & h[2]) ^ (h[1] & h[2]));
        memmove(h + 1, h, 7 * sizeof *h);
        h[4] += one;
        h[0] = one + two;
    }
    for (int i = 0; i < 8; i++)
        state[i] += h[i];
}

/* The hash as 64 hexadecimal digits. */
static void sha256(const char *content, size_t size, char digits[65])
{
    uint32_t state[8];
    unsigned char end[128] = {0};
    size_t left = size % 64, blocks = left < 56 ? 1 : 2;
    memcpy(state, FIRST, sizeof state);
    for (size_t i = 0; i + 64 <= size; i += 64)
        add_block(state, (const unsigned char *)content + i);
    memcpy(end, content + size - left, left);
    end[left] = 0x80;
    for (int i = 0; i < 8; i++)
        end[64 * blocks - 1 - (size_t)i] = (unsigned char)((uint64_t)size * 8 >> 8 * i);
    for (size_t i = 0; i < blocks; i++)
        add_block(state, end + 64 * i);
    for (int i = 0; i < 8; i++)
        snprintf(digits + 8 * i, 9, "%08x", state[i]);
}
