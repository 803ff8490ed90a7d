/* What server and launcher say to each other (hosts/wire.py), for those who say it in C. */

#ifndef SIPCGI_WIRE_H
#define SIPCGI_WIRE_H

#include "native.h"
#include <sys/types.h>

#define MAX_RECORD 32768
#define MAX_REPORTS 16
#define MAX_DESCRIPTORS 6

enum { START = 1, EXITED = 1, STDIN = 1, PLAIN = 0 };

typedef struct __attribute__((packed)) {
    uint8_t kind, flags;
    uint16_t arguments;
    uint32_t profile;
    uint64_t run;
} Order;

typedef struct __attribute__((packed)) {
    uint8_t kind;
    int32_t code;
    uint64_t run, cpu, peak;
} Report;

typedef struct {
    Order order;
    char texts[MAX_RECORD + 1]; /* and a NUL */
} Record;

/* spawn.c */
typedef struct {
    const char *directory;
    char **argv, **environment;
    int count, ours[MAX_DESCRIPTORS], numbers[MAX_DESCRIPTORS];
    unsigned long long mark;
} Start;

pid_t spawned(Start *start, char *texts, Py_ssize_t size, Py_ssize_t arguments);

#endif
