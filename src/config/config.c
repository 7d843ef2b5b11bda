#include "config/config.h"

#include <stdlib.h>
#include <string.h>

static void string_release(struct config_string *s)
{
    free(s->value);
    free(s->origin);
}

static void list_release(struct config_list *l)
{
    strv_release(&l->value);
    free(l->origin);
}

static void scheduler_release(struct config_scheduler *s)
{
    list_release(&s->execution_types);
    string_release(&s->default_execution_type);
    free(s->origin);
}

static void target_release(struct config_target *t)
{
    free(t->name);
    free(t->origin);
    string_release(&t->base_path);
    string_release(&t->node_local_path);
    string_release(&t->default_scheduler);
    string_release(&t->default_execution_type);
    free(t->mount_host_paths.origin);
    list_release(&t->mount_paths);
    string_release(&t->network);
    list_release(&t->env_pass);
    string_release(&t->gpus);
    free(t->cache_max_size.origin);
    free(t->cache_min_free.origin);
    free(t->grace.origin);
    string_release(&t->staging);
    string_release(&t->stage_path);
    free(t->stage_timeout.origin);
    scheduler_release(&t->local);
    scheduler_release(&t->slurm);
}

static void policy_release(struct config_policy *p)
{
    list_release(&p->allowed_runtimes);
    free(p->allow_impure.origin);
    free(p->allow_host_network.origin);
    free(p->allow_gpus.origin);
    list_release(&p->cdi_dirs);
    list_release(&p->forbidden_mounts);
    list_release(&p->forced_mounts);
    list_release(&p->allowed_images);
    string_release(&p->shared_store);
    free(p->cache_max_size.origin);
    free(p->cache_min_free.origin);
}

void config_release(struct config *c)
{
    string_release(&c->submission_target);
    string_release(&c->default_scheduler);
    for (size_t i = 0; i < c->n_targets; i++)
        target_release(&c->targets[i]);
    free(c->targets);
    policy_release(&c->policy);
    strv_release(&c->files);
    *c = (struct config)CONFIG_INIT;
}

const struct config_target *config_find_target(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->n_targets; i++)
        if (strcmp(c->targets[i].name, name) == 0)
            return &c->targets[i];
    return NULL;
}
