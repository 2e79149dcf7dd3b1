/* One image, serially, with the state that each turn of the loops hands to the next: the oracle
 * that every parallel kernel is compared with. Operations and their order are those of the
 * original program; compile without contraction. */
#include "step.h"

/* The factors that are each term's own. */
static double own_weight(const nb_plan *p, const pixel_sums *sums)
{
    return (p->sampling.oversample_thick ? sums->capture : 1.0) * (p->sampling.oversample_polar ? sums->polar : 1.0)
           * (p->sampling.oversample_omega ? sums->omega : 1.0);
}

/* Whether the background is added with each term, as that is weighted by itself. */
static int is_spread(const nb_plan *p)
{
    return !p->habits.running_products && (p->sampling.oversample_thick || p->sampling.oversample_polar || p->sampling.oversample_omega);
}

static void visit(const nb_plan *p, nb_state *state, const double *q, int64_t source, pixel_sums *sums)
{
    double share = p->sources.weight[source];
    for (int64_t i = 0; i < p->cells.phi_steps; i++) {
        double phi = p->cells.phi0 + p->cells.phi_step * (double)i;
        for (int v = 0; v < 9; v++)
            if (phi == 0.0 && !p->habits.phi_carryover)
                state->cell[v] = p->cells.cell[v];
        if (phi != 0.0)
            for (int v = 0; v < 9; v += 3)
                rotate_axis(p->cells.cell + v, p->cells.spindle, phi, state->cell + v);
        for (int64_t m = 0; m < p->domains; m++) {
            double hkl[3], node[3];
            TAP("phi_rad", 1, &phi);
            for (int k = 0; k < 3; k++) {
                double axis[3];
                const double *now = state->cell + 3 * k;
                if (p->cells.mosaic_spread > 0.0) {
                    rotate_matrix(now, p->cells.mosaic_rotations + 9 * m, axis);
                    now = axis;
                }
                if (p->cells.domain_scales != NULL) {
                    for (int v = 0; v < 3; v++)
                        axis[v] = now[v] * p->cells.domain_scales[3 * m + k];
                    now = axis;
                }
                TAP(AXIS_LABELS[k], 3, now);
                hkl[k] = dot(now, q);
                node[k] = nearest(hkl[k]);
            }
            TAP("hkl_frac", 3, hkl);
            TAP("hkl_rounded", 3, node);
            double f_latt = lattice_factor(p, hkl, node);
            TAP("F_latt", 1, &f_latt);
            if (f_latt == 0.0 && !p->scale.water)
                continue;
            double f_cell = structure_factor(p, state, p->sources.table_number[source], hkl, node);
            TAP("F_cell", 1, &f_cell);
            double term = f_cell * f_cell * f_latt * f_latt * share;
            sums->intensity += p->habits.running_products ? term : term * own_weight(p, sums);
            TAP("I_so_far", 1, &sums->intensity);
            if (!p->habits.running_products)
                continue;
            if (p->sampling.oversample_thick)
                sums->intensity *= sums->capture;
            if (p->sampling.oversample_polar)
                sums->intensity *= sums->polar;
            if (p->sampling.oversample_omega)
                sums->intensity *= sums->omega;
        }
    }
}

static int is_arc(const nb_plan *p)
{
    return p->panels.curved && !p->habits.bent_about_other_axes;
}

/* Where a sub-pixel of a panel is, metres from the sample. */
static void position(const nb_plan *p, int64_t panel, double f_pos, double s_pos, int64_t layer, double *d)
{
    const nb_panels *all = &p->panels;
    const double *fdet = all->fdet + 3 * panel, *sdet = all->sdet + 3 * panel, *odet = all->odet + 3 * panel;
    const double *pix0 = all->pix0 + 3 * panel, *spot = all->beam_spot + 2 * panel;
    double distance = all->distance[panel];
    double o_pos = (double)layer * p->sensor.layer_step;
    for (int k = 0; k < 3; k++)
        d[k] = f_pos * fdet[k] + s_pos * sdet[k] + o_pos * odet[k] + pix0[k];
    if (is_arc(p)) {
        double alpha = (f_pos - spot[0]) / distance, beta = (s_pos - spot[1]) / distance;
        double along = cos(beta) * cos(alpha), across = cos(beta) * sin(alpha), up = sin(beta);
        for (int k = 0; k < 3; k++)
            d[k] = (distance + o_pos) * (along * all->beam[k] + across * fdet[k] + up * sdet[k]);
        return;
    }
    if (all->curved) {
        double v[3], w[3];
        for (int k = 0; k < 3; k++)
            v[k] = distance * all->beam[k];
        rotate_axis(v, sdet, d[1] / distance, w);
        rotate_axis(w, fdet, d[2] / distance, d);
    }
}

static double pixel_solid_angle(const nb_plan *p, int64_t panel, double airpath)
{
    double size = p->panels.pixel_size;
    if (p->panels.point_pixel || is_arc(p))
        return (p->habits.unit_area && !is_arc(p) ? 1.0 : size * size) / airpath / airpath;
    return size * size / airpath / airpath * p->panels.close_distance[panel] / airpath;
}

/* The share of photons that a layer absorbs. */
static double capture(const nb_plan *p, int64_t panel, const double *d, int64_t layer, double mu)
{
    double parallax = is_arc(p) ? 1.0 : dot(d, p->panels.odet + 3 * panel);
    if (!p->habits.one_side)
        parallax = fabs(parallax);
    return exp(-(double)layer * p->sensor.layer_step * mu / parallax)
           - exp(-(double)(layer + 1) * p->sensor.layer_step * mu / parallax);
}

static void sub_pixel(const nb_plan *p, nb_state *state, int64_t panel, double f_pos, double s_pos, int64_t layer,
                      pixel_sums *sums)
{
    double d[3];
    position(p, panel, f_pos, s_pos, layer, d);
    TAP("pixel_pos_meters", 3, d);
    double airpath = unitize(d);
    TAP("R_distance_meters", 1, &airpath);
    if (sums->omega == 0.0 || p->sampling.oversample_omega)
        sums->omega = pixel_solid_angle(p, panel, airpath);
    TAP("omega_pixel_sr", 1, &sums->omega);
    TAP("diffracted_vec", 3, d);
    if (sums->capture == 0.0 || p->sampling.oversample_thick)
        sums->capture = capture(p, panel, d, layer, p->sensor.mu);
    TAP("capture_of_layer", 1, &sums->capture);
    for (int64_t j = 0; j < p->n_sources; j++) {
        const double *source = p->sources.direction + 3 * j, *wavelength = p->sources.wavelength + j;
        double incident[3], q[3];
        for (int k = 0; k < 3; k++) {
            incident[k] = -source[k];
            q[k] = (d[k] - incident[k]) / *wavelength;
        }
        TAP("incident_vec", 3, incident);
        TAP("lambda_meters", 1, wavelength);
#ifdef TRACING
        double cosine = dot(incident, d);
        TAP("cos_2theta_of_source", 1, &cosine);
#endif
        TAP("scattering_vec_A_inv", 3, q);
        double stol = 0.5 * magnitude(q);
        int cut = p->factors.dmin > 0.0 && stol > 0.0 && p->factors.dmin > 0.5 / stol;
        if (cut && p->habits.background_cut && !is_spread(p))
            continue;
        if (p->sensor.chromatic) {
            sums->capture = capture(p, panel, d, layer, p->sources.absorption[j]);
            TAP("capture_of_source", 1, &sums->capture);
        }
        if (sums->polar == 0.0 || p->sampling.oversample_polar)
            sums->polar = p->habits.drifting_axis ? polarization(p->polarization.kahn, incident, d, state->polar_axis)
                                                  : pure_polarization(p->polarization.kahn, incident, d, state->polar_axis);
        TAP("polar_of_source", 1, &sums->polar);
        if (is_spread(p))
            sums->intensity += p->scale.background / (double)(p->sampling.oversample * p->sampling.oversample * p->n_sources
                                                        * (p->sampling.oversample_thick ? 1 : p->sensor.layers))
                               * own_weight(p, sums) * p->sources.weight[j];
        if (cut)
            continue;
        visit(p, state, q, j, sums);
    }
}

static double middle(const nb_plan *p, int64_t pixel, int64_t sub_pixel)
{
    double sub = p->panels.pixel_size / (double)p->sampling.oversample;
    return sub * (double)(pixel * p->sampling.oversample + sub_pixel) + sub / 2.0;
}

static double pixel(const nb_plan *p, nb_state *state, int64_t panel, int64_t fast, int64_t slow)
{
    pixel_sums sums = {is_spread(p) ? 0.0 : p->scale.background, p->polarization.left_out ? 1.0 : 0.0, 0.0, 0.0};
    for (int64_t layer = 0; layer < p->sensor.layers; layer++) {
        sums.capture = p->sensor.thickness == 0.0 ? 1.0 : 0.0;
        for (int64_t sub_s = 0; sub_s < p->sampling.oversample; sub_s++)
            for (int64_t sub_f = 0; sub_f < p->sampling.oversample; sub_f++)
                sub_pixel(p, state, panel, middle(p, fast, sub_f), middle(p, slow, sub_s), layer, &sums);
    }
    TAP("I_before_scaling", 1, &sums.intensity);
    TAP("capture_fraction", 1, &sums.capture);
    TAP("polar", 1, &sums.polar);
    TAP("omega_pixel", 1, &sums.omega);
    double photons = p->scale.r_e_sqr * p->scale.fluence * sums.intensity / p->scale.steps;
    if (!p->sampling.oversample_thick)
        photons *= sums.capture;
    if (!p->sampling.oversample_polar)
        photons *= sums.polar;
    if (!p->sampling.oversample_omega)
        photons *= sums.omega;
    TAP("I_pixel_final", 1, &photons);
    return photons;
}

void nb_start(const nb_plan *p, nb_state *state)
{
    for (int k = 0; k < 9; k++)
        state->cell[k] = p->cells.cell[k];
    for (int k = 0; k < 3; k++)
        state->polar_axis[k] = p->polarization.axis[k];
    state->interpolate = p->factors.interpolate;
    state->rendered = 0;
}

static int is_rendered(const nb_plan *p, int64_t index)
{
    int64_t fast = index % p->panels.n_fast, slow = index / p->panels.n_fast % p->panels.n_slow;
    if (fast < p->panels.roi[0] || fast > p->panels.roi[1] || slow < p->panels.roi[2] || slow > p->panels.roi[3])
        return 0;
    return p->panels.mask == NULL || p->panels.mask[index];
}

static double at_index(const nb_plan *p, nb_state *state, int64_t index)
{
    int64_t row = index / p->panels.n_fast;
    return pixel(p, state, row / p->panels.n_slow, index % p->panels.n_fast, row % p->panels.n_slow);
}

void nb_render(const nb_plan *p, nb_state *state, int64_t first, int64_t count, float *image)
{
    for (int64_t index = first; index < first + count; index++)
        if (is_rendered(p, index)) {
            image[index] = (float)((double)image[index] + at_index(p, state, index));
            state->rendered++;
        }
}

/* Of all sub-pixels and layers of the rendered pixels; one that is kept for the whole pixel counts as often. */
double nb_solid_angle(const nb_plan *p)
{
    double total = 0.0;
    int64_t oversample = p->sampling.oversample;
    for (int64_t index = 0; index < p->n_panels * p->panels.n_slow * p->panels.n_fast; index++) {
        if (!is_rendered(p, index))
            continue;
        int64_t fast = index % p->panels.n_fast, slow = index / p->panels.n_fast % p->panels.n_slow, panel = index / p->panels.n_fast / p->panels.n_slow;
        double of_pixel = 0.0, omega = 0.0;
        for (int64_t layer = 0; layer < p->sensor.layers; layer++)
            for (int64_t sub = 0; sub < oversample * oversample; sub++) {
                double d[3];
                position(p, panel, middle(p, fast, sub % oversample), middle(p, slow, sub / oversample), layer, d);
                if (omega == 0.0 || p->sampling.oversample_omega)
                    omega = pixel_solid_angle(p, panel, sqrt(dot(d, d)));
                of_pixel += omega;
            }
        total += of_pixel;
    }
    return total;
}
