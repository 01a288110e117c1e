#include "workload.h"

// splitmix64 (Steele, Lea, Flood 2014): one word of state, so a thread's stream is its seed.
uint64_t random_mix(uint64_t value) {
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

uint64_t random_next(struct random *random) {
    uint64_t result = random_mix(random->state);
    random->state += 0x9e3779b97f4a7c15u;
    return result;
}

uint64_t random_below(struct random *random, uint64_t bound) {
    return (uint64_t)(((unsigned __int128)random_next(random) * bound) >> 64);
}

double random_unit(struct random *random) { return (double)(random_next(random) >> 11) * 0x1p-53; }
