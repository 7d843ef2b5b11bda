/* cleanup: scope-bound ownership of memory and descriptors.
 *
 * _cleanup_free_ and _cleanup_close_ release at the end of the scope; steal_ptr and
 * steal_fd hand the resource over by name and leave the variable empty.
 */
#ifndef REPX_BASE_CLEANUP_H
#define REPX_BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_freep(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_closep(int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        close(*fd);
    errno = saved;
}

static inline void cleanup_fclosep(FILE **f)
{
    if (*f)
        fclose(*f);
}

static inline void cleanup_closedirp(DIR **d)
{
    if (*d)
        closedir(*d);
}

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_free_ _cleanup_(cleanup_freep)
#define _cleanup_close_ _cleanup_(cleanup_closep)
#define _cleanup_closedir_ _cleanup_(cleanup_closedirp)
#define _cleanup_fclose_ _cleanup_(cleanup_fclosep)

static inline int steal_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

#define steal_ptr(p)                                                                   \
    ({                                                                                 \
        __typeof__(p) *steal_p = &(p);                                                 \
        __typeof__(p) steal_v = *steal_p;                                              \
        *steal_p = NULL;                                                               \
        steal_v;                                                                       \
    })

#define array_size(a) (sizeof(a) / sizeof((a)[0]))

#endif
