#include "launch/meter.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/quote.h"
#include "runtime/supervise.h"
#include "sys/fdio.h"

/* Nobody needs to read about work that takes less. */
#define ANNOUNCE_AFTER_NS 1000000000ull
#define REDRAW_EVERY_NS 100000000ull
#define RATE_AFTER_NS 500000000ull

static double gigabytes(uint64_t bytes)
{
    return (double)bytes / 1e9;
}

static bool is_wait(const char *phase)
{
    return strcmp(phase, "wait") == 0;
}

/* The words for image_progress's phases. */
static const char *phase_words(const char *phase)
{
    if (is_wait(phase))
        return "waiting for the extraction of";
    if (strcmp(phase, "confirm") == 0)
        return "checking";
    return strcmp(phase, "compose") == 0 ? "composing" : "extracting";
}

/* ": how far it is", in the phase's own unit. */
static void add_numbers(struct buf *b, const char *phase, uint64_t done, uint64_t total,
                        uint64_t elapsed_ns)
{
    double rate = (double)done / ((double)elapsed_ns / 1e9 + 1e-9);

    if (strcmp(phase, "compose") == 0) {
        buf_addf(b, ": %llu of %llu layers", (unsigned long long)done,
                 (unsigned long long)total);
        return;
    }
    buf_addf(b, ": %.2f of %.2f GB", gigabytes(done), gigabytes(total));
    /* the other process began at another time, and a moment tells nothing */
    if (is_wait(phase) || elapsed_ns < RATE_AFTER_NS)
        return;
    buf_addf(b, ", %.0f MB/s", rate / 1e6);
    if (total > done && rate > 0)
        buf_addf(b, ", %.0f s left", (double)(total - done) / rate);
}

void meter_line(struct buf *line, const char *what, const char *phase, uint64_t done,
                uint64_t total, uint64_t elapsed_ns, size_t columns)
{
    const char *slash = strrchr(what, '/');
    struct buf name = BUF_INIT, numbers = BUF_INIT;
    size_t from = 0, used;

    quote_printable(&name, slash && slash[1] ? slash + 1 : what);
    add_numbers(&numbers, phase, done, total, elapsed_ns);
    buf_addf(line, "%s: %s ", log_name(), phase_words(phase));
    used = line->len + numbers.len + 1; /* the last column stays free */
    if (used + name.len > columns) {
        /* the end of a name tells more than its hash in front */
        from = used + name.len + 3 - columns;
        from = from < name.len ? from : name.len;
        while ((buf_str(&name)[from] & 0xc0) == 0x80)
            from++;
        buf_adds(line, "...");
    }
    buf_adds(line, buf_str(&name) + from);
    buf_adds(line, buf_str(&numbers));
    buf_release(&numbers);
    buf_release(&name);
}

static size_t terminal_columns(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                           : 80;
}

/* A line that wraps could not be drawn over. */
static void draw(struct meter *p, const char *phase, uint64_t done, uint64_t total,
                 uint64_t elapsed_ns)
{
    struct buf line = BUF_INIT;

    meter_line(&line, p->what, phase, done, total, elapsed_ns, terminal_columns());
    fprintf(stderr, "\r\033[K%s", buf_str(&line));
    fflush(stderr);
    p->drawn = true;
    buf_release(&line);
}

static uint64_t elapsed(const struct meter *p, uint64_t now)
{
    return now - (p->own_ns ? p->own_ns : p->start_ns);
}

/* Not drawn over: for a file, or for the many terminals' lines that srun collects. */
static void whole_line(struct meter *p, const char *phase, uint64_t done,
                       uint64_t total, uint64_t now)
{
    const struct meter_watch *w = p->watch;
    uint64_t since = p->announced ? p->last_ns : p->start_ns;
    struct buf line = BUF_INIT;

    if (!(p->announced && p->took_over) &&
        now - since < (p->announced ? w->lines_every_ns : w->lines_after_ns))
        return;
    p->took_over = false;
    meter_line(&line, p->what, phase, done, total, elapsed(p, now), SIZE_MAX);
    fprintf(stderr, "%s\n", buf_str(&line));
    fflush(stderr);
    p->announced = true;
    p->last_ns = now;
    buf_release(&line);
}

static void update(void *arg, const char *phase, uint64_t done, uint64_t total)
{
    struct meter *p = arg;
    uint64_t now = fdio_monotonic_ns();

    if (p->waits && !is_wait(phase)) {
        p->took_over = true;
        p->own_ns = now;
    }
    p->waits = is_wait(phase);
    if (now - p->start_ns < ANNOUNCE_AFTER_NS || log_get_level() < LOG_LEVEL_NORMAL)
        return;
    if (p->terminal) {
        if (now - p->last_ns >= REDRAW_EVERY_NS) {
            draw(p, phase, done, total, elapsed(p, now));
            p->last_ns = now;
        }
    } else if (p->watch && p->watch->lines_every_ns) {
        whole_line(p, phase, done, total, now);
    } else if (!p->announced) {
        log_info("%s %s (%.2f GB)", phase_words(phase), p->what, gigabytes(total));
        p->announced = true;
    }
}

static int cancelled(void *arg)
{
    const struct meter *p = arg;

    if (p->watch && p->watch->cancelled && p->watch->cancelled(p->watch->arg))
        return 1;
    return supervise_pending_signal();
}

void meter_init(struct meter *p, const char *what, const struct meter_watch *watch)
{
    *p = (struct meter){.what = what,
                        .watch = watch,
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
