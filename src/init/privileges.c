#include "init/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int privileges_drop(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

    int kept = 0, held;

    for (int cap = 0; (held = prctl(PR_CAPBSET_READ, cap, 0, 0, 0)) >= 0; cap++)
        if (held && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            kept = errno;
    /* ambient ones go with what is permitted and inheritable (capabilities(7)) */
    if (syscall(SYS_capset, &header, none) < 0)
        return -1;
    errno = kept;
    return kept ? 1 : 0;
}
