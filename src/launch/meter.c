#include "launch/meter.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/quote.h"
#include "runtime/supervise.h"
#include "sys/fdio.h"

/* Nobody needs to read about work that takes less. */
#define ANNOUNCE_AFTER_NS 1000000000ull
#define REDRAW_EVERY_NS 100000000ull

static double gigabytes(uint64_t bytes)
{
    return (double)bytes / 1e9;
}

/* The words for image_progress's phases. */
static const char *phase_words(const char *phase)
{
    if (strcmp(phase, "wait") == 0)
        return "waiting for the extraction of";
    return strcmp(phase, "compose") == 0 ? "composing" : "extracting";
}

static void draw(struct meter *p, const char *phase, uint64_t done, uint64_t total,
                 uint64_t elapsed_ns)
{
    struct buf b = BUF_INIT;
    double rate = (double)done / ((double)elapsed_ns / 1e9 + 1e-9);

    buf_addf(&b, "\r\033[Krepx-launch: %s ", phase_words(phase));
    quote_printable(&b, p->what);
    buf_addf(&b, ": %.2f of %.2f GB, %.0f MB/s", gigabytes(done), gigabytes(total),
             rate / 1e6);
    if (total > done && rate > 0)
        buf_addf(&b, ", %.0f s left", (double)(total - done) / rate);
    fputs(buf_str(&b), stderr);
    fflush(stderr);
    p->drawn = true;
    buf_release(&b);
}

static void update(void *arg, const char *phase, uint64_t done, uint64_t total)
{
    struct meter *p = arg;
    uint64_t now = fdio_monotonic_ns();

    if (now - p->start_ns < ANNOUNCE_AFTER_NS || log_get_level() < LOG_LEVEL_NORMAL)
        return;
    if (p->terminal) {
        if (now - p->last_ns >= REDRAW_EVERY_NS) {
            draw(p, phase, done, total, now - p->start_ns);
            p->last_ns = now;
        }
    } else if (!p->announced) {
        log_info("%s %s (%.2f GB)", phase_words(phase), p->what, gigabytes(total));
        p->announced = true;
    }
}

static int cancelled(void *arg)
{
    return supervise_pending_signal();
}

void meter_init(struct meter *p, const char *what)
{
    *p = (struct meter){.what = what,
                        .terminal = isatty(STDERR_FILENO) == 1,
                        .start_ns = fdio_monotonic_ns()};
    p->hooks =
        (struct image_progress){.update = update, .cancelled = cancelled, .arg = p};
}

void meter_finish(struct meter *p)
{
    if (p->drawn)
        fputs("\r\033[K", stderr);
    p->drawn = false;
}
