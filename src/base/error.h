/* error: the one way a failure travels.
 *
 * The caller owns a fixed-size object and passes it last. A function that returns a
 * negative value has filled it; its caller adds context and passes it on. A positive
 * return is part of a function's contract and leaves the object untouched, as success
 * does. Nothing is allocated, so there is nothing to free, and it works when memory is
 * gone. The text is printed once, by main.c, which escapes control characters: names
 * that come from files may be put into it as they are.
 */
#ifndef REPX_BASE_ERROR_H
#define REPX_BASE_ERROR_H

/* The class decides the exit code (CONTRACT section 6). */
enum error_class {
    ERROR_NONE = 0,
    ERROR_USAGE,    /* 2: the command line is wrong */
    ERROR_LAUNCHER, /* 125: the launcher, its configuration or its input is at fault */
    ERROR_CANNOT_EXECUTE, /* 126: the job's command is there but cannot be executed */
    ERROR_NOT_FOUND,      /* 127: the job's command does not exist */
};

struct error {
    enum error_class class;
    int errnum; /* errno value behind the failure, 0 when there is none */
    char text[1024];
};

#define ERROR_INIT                                                                     \
    {                                                                                  \
        ERROR_NONE, 0, ""                                                              \
    }

/* Fills err. When errnum is not zero, ": <strerror>" is appended. Returns -1. */
__attribute__((format(printf, 4, 5))) int
error_set(struct error *err, enum error_class class, int errnum, const char *fmt, ...);

/* Shorthand for the common class: a launcher fault, with errno or 0. Returns -1. */
#define error_sys(err, errnum, ...)                                                    \
    error_set((err), ERROR_LAUNCHER, (errnum), __VA_ARGS__)
#define error_fail(err, ...) error_set((err), ERROR_LAUNCHER, 0, __VA_ARGS__)
#define error_usage(err, ...) error_set((err), ERROR_USAGE, 0, __VA_ARGS__)

/* Puts "<context>: " in front of the text. Returns -1. */
__attribute__((format(printf, 2, 3))) int error_context(struct error *err,
                                                        const char *fmt, ...);

/* Appends "; <what to do next>". Returns -1. */
__attribute__((format(printf, 2, 3))) int error_hint(struct error *err, const char *fmt,
                                                     ...);

/* Out of memory. Returns -1. */
int error_oom(struct error *err);

/* Empties err for another use. */
void error_clear(struct error *err);

/* The process exit code for a class: 2, 125, 126 or 127. */
int error_exit_code(const struct error *err);

#endif
