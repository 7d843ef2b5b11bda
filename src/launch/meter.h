/* meter: tells a person at a terminal how far an extraction is (bytes, rate, time
 * left), and everybody, once, that there is one. Quiet with -q. */
#ifndef REPX_LAUNCH_METER_H
#define REPX_LAUNCH_METER_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"

struct meter {
    struct image_progress hooks; /* for image_prepare */
    const char *what;            /* borrowed */
    bool terminal;
    bool drawn; /* a line without newline is on the terminal */
    bool announced;
    uint64_t start_ns, last_ns;
};

void meter_init(struct meter *p, const char *what);
/* Ends the line on the terminal. */
void meter_finish(struct meter *p);

#endif
