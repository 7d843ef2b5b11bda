/* meter: tells a person at a terminal how far an extraction is (bytes, rate, time
 * left), and everybody, once, that there is one. Quiet with -q. */
#ifndef REPX_LAUNCH_METER_H
#define REPX_LAUNCH_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/image.h"

struct buf;

/* How a launcher that nobody sits in front of is told to stop and tells how it goes. */
struct meter_watch {
    int (*cancelled)(void *arg); /* beside the signals of supervise; NULL: none */
    void *arg;
    /* Without a terminal: whole lines with numbers, the first after, then every so many
     * nanoseconds. 0: one line without numbers. */
    uint64_t lines_after_ns, lines_every_ns;
};

struct meter {
    struct image_progress hooks; /* for image_prepare */
    const char *what;            /* borrowed */
    bool terminal;
    bool drawn; /* a line without newline is on the terminal */
    bool announced;
    bool waits;     /* for what another process extracts, when last told */
    bool took_over; /* since the last line: that one has died */
    uint64_t start_ns, last_ns;
    uint64_t own_ns;                 /* when the work became ours; 0: at start_ns */
    const struct meter_watch *watch; /* borrowed; NULL */
};

void meter_init(struct meter *p, const char *what, const struct meter_watch *watch);
/* Ends the line on the terminal. */
void meter_finish(struct meter *p);

/* Appends the line for a terminal, shorter than columns as far as the numbers leave
 * room: the last component of what, cut at its front. phase and its unit:
 * image_progress. */
void meter_line(struct buf *line, const char *what, const char *phase, uint64_t done,
                uint64_t total, uint64_t elapsed_ns, size_t columns);

#endif
