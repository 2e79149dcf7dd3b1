/* The rendering of render.c with every figure on the way recorded: the same source, compiled once more. */
#include <stddef.h>

#include "cref.h"

static nb_figure *figures;
static int64_t room, used;

static const char *AXIS_LABELS[3] = {"rot_a_angstroms", "rot_b_angstroms", "rot_c_angstroms"};

static const char *LATTICE_LABELS[3] = {"F_latt_a", "F_latt_b", "F_latt_c"};

static void put(int64_t place, const char *label, int64_t count, const double *values)
{
    figures[place].label = label;
    figures[place].count = count;
    for (int64_t k = 0; k < count; k++)
        figures[place].values[k] = values[k];
}

static void keep_all(const char *label, int64_t count, const double *values)
{
    if (used < room)
        put(used, label, count, values);
    used++;
}

/* Figures come in much the same order again and again, so each label is looked for behind the one before it. */
static void keep_last(const char *label, int64_t count, const double *values)
{
    static int64_t before;
    for (int64_t k = 1; k <= used; k++) {
        const int64_t place = (before + k) % used;
        if (figures[place].label == label) {
            put(place, label, count, values);
            before = place;
            return;
        }
    }
    if (used < room)
        put(used++, label, count, values);
}

static void (*record)(const char *label, int64_t count, const double *values);

#define TRACING
#define TAP(label, count, values) record(label, count, values)
#define nb_start traced_start
#define nb_render traced_render
#define nb_solid_angle traced_solid_angle
#include "render.c"

static int64_t traced(const nb_plan *plan, nb_state *state, int64_t index, float *image, nb_figure *into, int64_t most)
{
    figures = into;
    room = most;
    used = 0;
    traced_render(plan, state, index, 1, image);
    return used;
}

int64_t nb_trace(const nb_plan *plan, nb_state *state, int64_t index, float *image, nb_figure *into, int64_t most)
{
    record = keep_all;
    return traced(plan, state, index, image, into, most);
}

int64_t nb_last_figures(const nb_plan *plan, nb_state *state, int64_t index, float *image, nb_figure *into, int64_t most)
{
    record = keep_last;
    return traced(plan, state, index, image, into, most);
}
