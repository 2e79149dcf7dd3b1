/* The C99 reference of nanobragg: what one image needs, and the two serial sweeps over it.
 *
 * Lengths in metres, angles in radians, reciprocal vectors in 1/Angstrom. The fields are those of
 * kernels/plan.py, under the same names. The declarations are read by cffi too: no macros here.
 */
#ifndef NANOBRAGG_CREF_H
#define NANOBRAGG_CREF_H
#include <stdint.h>

typedef struct {
    int64_t n_fast, n_slow;    /* of each panel */
    int64_t roi[4];            /* fast first, fast last, slow first, slow last; inclusive */
    const uint8_t *mask;       /* panels x n_slow x n_fast, 0 = not rendered; NULL = all are */
    double pixel_size;
    const double *pix0, *fdet, *sdet, *odet;          /* panels x 3 */
    const double *distance, *close_distance;          /* panels */
    const double *beam_spot;                          /* panels x 2 */
    const int64_t *wide_fast, *wide_slow;             /* shared when an image is done: not used here */
    double beam[3];
    int64_t curved, point_pixel;
} nb_panels;

typedef struct {
    double thickness, mu;
    int64_t layers;
    double layer_step;
    int64_t chromatic;         /* each source has an absorption of its own */
} nb_sensor;

typedef struct {
    const double *direction;   /* sources x 3: unit vector towards the source */
    const double *wavelength, *weight;
    const int64_t *table_number;
    const double *absorption;  /* in the sensor, 1/m */
} nb_sources;

typedef struct {
    double kahn;
    int64_t left_out;
    double axis[3];
} nb_polarization;

typedef struct {
    double cell[9];            /* a, b, c at phi = 0 */
    double recip[9];           /* a*, b*, c* at phi = 0 */
    double n_cells[3];
    int64_t shape;             /* 0 square, 1 round, 2 gauss, 3 top-hat */
    double fudge;
    double spindle[3];
    double phi0, phi_step;
    int64_t phi_steps;
    double mosaic_spread;
    const double *mosaic_rotations; /* domains x 9 */
    const double *domain_scales;    /* domains x 3, or NULL where all have the same cell */
} nb_cells;

typedef struct {
    const double *table;
    int64_t n_hkl;
    double default_F;
    int64_t hkl_min[3], hkl_max[3], hkl_range[3];
    int64_t interpolate;
    double dmin;
} nb_factors;

typedef struct {
    int64_t oversample, oversample_thick, oversample_polar, oversample_omega;
} nb_sampling;

typedef struct {
    double fluence, r_e_sqr, steps, background;
    int64_t water;             /* a droplet is present: zero lattice factors are not skipped */
} nb_scale;

typedef struct {
    int64_t phi_carryover, interpolation_ends, running_products, background_cut, drifting_axis;
    int64_t bent_about_other_axes, unit_area, whole_sines, one_side;
} nb_habits;

typedef struct {
    nb_panels panels;
    nb_sensor sensor;
    nb_sources sources;
    nb_polarization polarization;
    nb_cells cells;
    nb_factors factors;
    nb_sampling sampling;
    nb_scale scale;
    nb_habits habits;
    int64_t n_panels, n_sources, domains;
    int64_t table_shape[4];    /* table, h, k, l */
} nb_plan;

/* What one turn of the loops leaves for the next ones. */
typedef struct {
    double cell[9];
    double polar_axis[3];
    int64_t interpolate;
    int64_t rendered;
} nb_state;

typedef struct {
    int64_t seed;
    int64_t iy, iv[32];
    int64_t has_spare;
    float spare;
    float old, g, sq, alx;
} nb_random;

/* A figure on the way to a pixel's photons. */
typedef struct {
    const char *label;
    int64_t count;
    double values[3];
} nb_figure;

void nb_start(const nb_plan *plan, nb_state *state);
void nb_render(const nb_plan *plan, nb_state *state, int64_t first, int64_t count, float *image);

int64_t nb_trace(const nb_plan *plan, nb_state *state, int64_t index, float *image, nb_figure *into, int64_t most);
int64_t nb_last_figures(const nb_plan *plan, nb_state *state, int64_t index, float *image, nb_figure *into, int64_t most);

int64_t nb_sums(const nb_plan *plan, const float *image, double *sums);
void nb_deviations(const nb_plan *plan, const float *image, double mean, double *sums);
double nb_solid_angle(const nb_plan *plan);
void nb_to_int(const nb_plan *plan, const float *image, double scale, double adc, uint16_t *counts);
void nb_to_grey(const nb_plan *plan, const float *image, double scale, uint8_t *grey);

void nb_random_start(nb_random *random, int64_t seed, int64_t iy, const int64_t *iv);
float nb_uniform(nb_random *random);
float nb_poisson(nb_random *random, float mean);
void nb_noise(nb_random *random, const float *image, const int64_t *shape, const int64_t *roi,
              double adc, uint16_t *counts, double *photons, int64_t *overloads);

#endif
