#include "sys/netfs.h"

#include <stddef.h>
#include <sys/vfs.h>

/* linux/magic.h has those of the kernel's own; the others are their projects'. FUSE is
 * in it because most of what is mounted that way on a cluster is remote (sshfs,
 * GlusterFS, BeeOND), and a local one loses little. */
static const struct {
    unsigned long type;
    const char *name;
} types[] = {
    {0x00006969, "NFS"},    {0x0bd00bd0, "Lustre"},      {0x47504653, "GPFS"},
    {0x19830326, "BeeGFS"}, {0x00c36400, "Ceph"},        {0x65735546, "FUSE"},
    {0x0000517b, "SMB"},    {0xfe534d42, "SMB"},         {0xff534d42, "CIFS"},
    {0x01021997, "9p"},     {0x5346414f, "AFS"},         {0x6b414653, "AFS"},
    {0x73757245, "Coda"},   {0x7461636f, "OCFS2"},       {0x01161970, "GFS2"},
    {0xaad7aaea, "PanFS"},  {0x20030528, "OrangeFS"},    {0x013111a8, "IBRIX"},
    {0xa501fcf5, "VxFS"},   {0xbacbacbc, "VMware HGFS"},
};

const char *netfs_of_type(unsigned long type)
{
    size_t i;

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i].type == type)
            return types[i].name;
    return NULL;
}

const char *netfs_name(int fd)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0)
        return NULL;
    /* f_type is signed on some architectures: only 32 bits count */
    return netfs_of_type((unsigned long)fs.f_type & 0xffffffffUL);
}
