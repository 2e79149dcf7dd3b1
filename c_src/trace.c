/* The rendering of render.c with every figure on the way recorded: the same source, compiled once more. */
#include <stddef.h>

#include "cref.h"

static nb_figure *figures;
static int64_t room, used;

static const char *AXIS_LABELS[3] = {"rot_a_angstroms", "rot_b_angstroms", "rot_c_angstroms"};

static const char *LATTICE_LABELS[3] = {"F_latt_a", "F_latt_b", "F_latt_c"};

static void record(const char *label, int64_t count, const double *values)
{
    if (used < room) {
        figures[used].label = label;
        figures[used].count = count;
        for (int64_t k = 0; k < count; k++)
            figures[used].values[k] = values[k];
    }
    used++;
}

#define TRACING
#define TAP(label, count, values) record(label, count, values)
#define nb_start traced_start
#define nb_render traced_render
#define nb_solid_angle traced_solid_angle
#include "render.c"

int64_t nb_trace(const nb_plan *plan, nb_state *state, int64_t index, float *image, nb_figure *into, int64_t most)
{
    figures = into;
    room = most;
    used = 0;
    traced_render(plan, state, index, 1, image);
    return used;
}
