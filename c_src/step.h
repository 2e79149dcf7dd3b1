/* The physics of one step, each function once: operations and their order are those of the original
 * program; compile without contraction. */
#ifndef NANOBRAGG_STEP_H
#define NANOBRAGG_STEP_H

#include <math.h>
#include <stddef.h>

#include "cref.h"

#ifndef TAP
#define TAP(label, count, values) ((void)0)
#endif

static const double PI = 3.14159265358979323846;

enum { SQUARE, ROUND, GAUSS, TOPHAT };

static double dot(const double *u, const double *v)
{
    return u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
}

static double magnitude(const double *u)
{
    return sqrt(u[0] * u[0] + u[1] * u[1] + u[2] * u[2]);
}

static void cross(const double *u, const double *v, double *out)
{
    out[0] = u[1] * v[2] - u[2] * v[1];
    out[1] = u[2] * v[0] - u[0] * v[2];
    out[2] = u[0] * v[1] - u[1] * v[0];
}

static double unitize(double *u)
{
    double m = magnitude(u);
    for (int k = 0; k < 3; k++)
        u[k] = m != 0.0 ? u[k] / m : 0.0;
    return m;
}

static void rotate_axis(const double *v, const double *e, double phi, double *out)
{
    double s = sin(phi), c = cos(phi);
    double q = (e[0] * v[0] + e[1] * v[1] + e[2] * v[2]) * (1.0 - c);
    double x = e[0] * q + v[0] * c + (-e[2] * v[1] + e[1] * v[2]) * s;
    double y = e[1] * q + v[1] * c + (e[2] * v[0] - e[0] * v[2]) * s;
    double z = e[2] * q + v[2] * c + (-e[1] * v[0] + e[0] * v[1]) * s;
    out[0] = x;
    out[1] = y;
    out[2] = z;
}

static void rotate_matrix(const double *v, const double *u, double *out)
{
    out[0] = u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
    out[1] = u[3] * v[0] + u[4] * v[1] + u[5] * v[2];
    out[2] = u[6] * v[0] + u[7] * v[1] + u[8] * v[2];
}

/* ceil(x - 0.5) through a 32-bit integer; what does not fit becomes the lowest one, as on x86-64 */
static double nearest(double x)
{
    double y = ceil(x - 0.5);
    if (y > -2147483649.0 && y < 2147483648.0)
        return (double)(int32_t)y;
    return -2147483648.0;
}

static double grating(double x, double n)
{
    return x == 0.0 ? n : sin(x * n) / sin(x);
}

static double sphere_transform(double x)
{
    return x == 0.0 ? 1.0 : 3.0 * (sin(x) / x - cos(x)) / (x * x);
}

static double lattice_factor(const nb_plan *p, const double *hkl, const double *node)
{
    const double *n = p->cells.n_cells;
    if (p->cells.shape == SQUARE) {
        double f = 1.0;
        for (int k = 0; k < 3; k++) {
            double phase = p->habits.whole_sines ? hkl[k] : hkl[k] - node[k];
            double of_axis = n[k] > 1.0 ? grating(PI * phase, n[k]) : 1.0;
            TAP(LATTICE_LABELS[k], 1, &of_axis);
            f *= of_axis;
        }
        return f;
    }
    double d[3] = {hkl[0] - node[0], hkl[1] - node[1], hkl[2] - node[2]};
    if (p->cells.shape == ROUND) {
        double r2 = d[0] * d[0] * n[0] * n[0] + d[1] * d[1] * n[1] * n[1] + d[2] * d[2] * n[2] * n[2];
        return n[0] * n[1] * n[2] * 0.723601254558268 * sphere_transform(PI * sqrt(r2 * p->cells.fudge));
    }
    double v[3];
    for (int k = 0; k < 3; k++)
        v[k] = d[0] * p->cells.recip[k] + d[1] * p->cells.recip[3 + k] + d[2] * p->cells.recip[6 + k];
    double r2 = (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]) * n[0] * n[0] * n[1] * n[1] * n[2] * n[2];
    if (p->cells.shape == GAUSS)
        return n[0] * n[1] * n[2] * exp(-(r2 / 0.63 * p->cells.fudge));
    return n[0] * n[1] * n[2] * (r2 * p->cells.fudge < 0.3969 ? 1.0 : 0.0);
}

static double table_value(const nb_plan *p, int64_t number, int64_t i, int64_t j, int64_t k)
{
    const int64_t *shape = p->table_shape;
    return p->factors.table[((number * shape[1] + i) * shape[2] + j) * shape[3] + k];
}

/* The cubic through four equally spaced nodes n, n+1, n+2, n+3. */
static double cubic(double n, const double *y, double x)
{
    double n0 = n, n1 = n + 1.0, n2 = n + 2.0, n3 = n + 3.0;
    double x0 = (x - n1) * (x - n2) * (x - n3) * y[0] / ((n0 - n1) * (n0 - n2) * (n0 - n3));
    double x1 = (x - n0) * (x - n2) * (x - n3) * y[1] / ((n1 - n0) * (n1 - n2) * (n1 - n3));
    double x2 = (x - n0) * (x - n1) * (x - n3) * y[2] / ((n2 - n0) * (n2 - n1) * (n2 - n3));
    double x3 = (x - n0) * (x - n1) * (x - n2) * y[3] / ((n3 - n0) * (n3 - n1) * (n3 - n2));
    return x0 + x1 + x2 + x3;
}

static double tricubic(const nb_plan *p, int64_t number, const double *hkl)
{
    double first[3], e[4], g[4], y[4];
    int64_t at[3];
    for (int k = 0; k < 3; k++) {
        first[k] = floor(hkl[k]) - 1.0;
        at[k] = (int64_t)first[k] - p->factors.hkl_min[k];
    }
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4; j++) {
            for (int k = 0; k < 4; k++)
                y[k] = table_value(p, number, at[0] + i, at[1] + j, at[2] + k);
            g[j] = cubic(first[2], y, hkl[2]);
        }
        e[i] = cubic(first[1], g, hkl[1]);
    }
    return cubic(first[0], e, hkl[0]);
}

static double structure_factor(const nb_plan *p, nb_state *state, int64_t number, const double *hkl,
                               const double *node)
{
    if (!p->habits.interpolation_ends)
        state->interpolate = p->factors.interpolate;
    if (state->interpolate)
        for (int k = 0; k < 3; k++)
            if (!(hkl[k] - (double)p->factors.hkl_min[k] + 3.0 <= (double)p->factors.hkl_range[k]
                  && hkl[k] - 2.0 >= (double)p->factors.hkl_min[k]))
                state->interpolate = 0; /* so does what is no number: no address comes from it */
    if (state->interpolate)
        return tricubic(p, number, hkl);
    if (p->factors.n_hkl == 0)
        return p->factors.default_F;
    for (int k = 0; k < 3; k++)
        if (node[k] < (double)p->factors.hkl_min[k] || node[k] > (double)p->factors.hkl_max[k])
            return p->factors.default_F;
    return table_value(p, number, (int64_t)node[0] - p->factors.hkl_min[0], (int64_t)node[1] - p->factors.hkl_min[1],
                       (int64_t)node[2] - p->factors.hkl_min[2]);
}

/* Normalises the directions it is given where they stand, as the original does. */
static double polarization(double kahn, double *incident, double *diffracted, double *axis)
{
    unitize(incident);
    unitize(diffracted);
    unitize(axis);
    double c = dot(incident, diffracted);
    double c2 = c * c;
    double s2 = 1.0 - c2;
    double psi = 0.0;
    if (kahn != 0.0) {
        double b[3], e[3];
        cross(axis, incident, b);
        unitize(b);
        cross(incident, b, e);
        unitize(e);
        psi = -atan2(dot(diffracted, b), dot(diffracted, e));
    }
    return 0.5 * (1.0 + c2 - kahn * cos(2.0 * psi) * s2);
}

typedef struct {
    double intensity, polar, omega, capture;
} pixel_sums;

/* The same of copies, which leaves its arguments alone. */
static double pure_polarization(double kahn, const double *incident, const double *diffracted, const double *axis)
{
    double i[3], d[3], a[3];
    for (int k = 0; k < 3; k++) {
        i[k] = incident[k];
        d[k] = diffracted[k];
        a[k] = axis[k];
    }
    return polarization(kahn, i, d, a);
}

#endif
