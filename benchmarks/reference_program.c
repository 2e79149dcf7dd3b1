/* The C reference as a program of its own, to measure the command against: reads an hkl file the plain way (fscanf,
 * twice), renders one step per pixel of a 100 A cube, adds noise and writes the four images.
 *
 *     reference_program image HKL PIXELS N     the whole of it, in the working directory
 *     reference_program read HKL               the hkl file alone; prints seconds
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cref.h"

static double *read_hkl(const char *name, nb_plan *plan)
{
    double h[3], f;
    int index[3];
    FILE *file = fopen(name, "r");
    if (file == NULL)
        exit(9);
    for (int k = 0; k < 3; k++) {
        plan->hkl_min[k] = 1000000000;
        plan->hkl_max[k] = -1000000000;
    }
    while (fscanf(file, "%lg%lg%lg%lg", h, h + 1, h + 2, &f) == 4) {
        plan->n_hkl++;
        for (int k = 0; k < 3; k++) {
            if (plan->hkl_min[k] > h[k])
                plan->hkl_min[k] = (int64_t)h[k];
            if (plan->hkl_max[k] < h[k])
                plan->hkl_max[k] = (int64_t)h[k];
        }
    }
    for (int k = 0; k < 3; k++) {
        plan->hkl_range[k] = plan->hkl_max[k] - plan->hkl_min[k] + 1;
        plan->table_shape[k] = plan->hkl_range[k] + 1;
    }
    double *table = calloc((size_t)(plan->table_shape[0] * plan->table_shape[1] * plan->table_shape[2]), sizeof *table);
    rewind(file);
    while (fscanf(file, "%d%d%d%lg", index, index + 1, index + 2, &f) == 4)
        table[((index[0] - plan->hkl_min[0]) * plan->table_shape[1] + index[1] - plan->hkl_min[1]) * plan->table_shape[2]
              + index[2] - plan->hkl_min[2]] = f;
    fclose(file);
    return table;
}

static void write_file(const char *name, const void *header, size_t header_size, const void *data, size_t size)
{
    FILE *file = fopen(name, "wb");
    if (file == NULL)
        exit(9);
    fwrite(header, 1, header_size, file);
    fwrite(data, 1, size, file);
    fclose(file);
}

static void cube(nb_plan *p, int64_t pixels, double n)
{
    static const double source[5] = {-1.0, 0.0, 0.0, 1e-10, 1.0};
    static const double identity[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    double half = 0.0001 * (double)pixels / 2.0;
    p->n_fast = p->n_slow = pixels;
    p->roi[1] = p->roi[3] = pixels;
    p->pixel_size = 0.0001;
    p->distance = p->close_distance = p->pix0[0] = 0.1;
    p->pix0[1] = half;
    p->pix0[2] = -half;
    p->fdet[2] = p->odet[0] = p->beam[0] = p->polar_axis[2] = p->spindle[2] = 1.0;
    p->sdet[1] = -1.0;
    p->oversample = p->layers = p->n_sources = p->phi_steps = p->domains = 1;
    p->mu = -1.0;
    p->sources = source;
    p->mosaic_rotations = identity;
    p->phi_carryover = p->sticky = p->running_products = 1;
    p->fluence = 1.25932015286227086e29;
    p->r_e_sqr = 7.94079248018965e-30;
    p->steps = p->fudge = 1.0;
    for (int k = 0; k < 3; k++) {
        p->cell[4 * k] = 1e-8;
        p->recip[4 * k] = 0.01;
        p->n_cells[k] = n;
    }
}

static void image(nb_plan *plan, int64_t pixels, double n)
{
    size_t count = (size_t)(pixels * pixels);
    char header[512];
    float *photons = calloc(count, sizeof *photons);
    double sums[4], deviations[2], photons_drawn = 0.0;
    uint16_t *counts = calloc(count, sizeof *counts);
    unsigned char *grey = calloc(count, 1);
    int64_t zeros[32] = {0}, overloads = 0;
    nb_state state;
    nb_random random;
    cube(plan, pixels, n);
    nb_start(plan, &state);
    nb_render(plan, &state, 0, pixels * pixels, photons);
    nb_sums(plan, photons, sums);
    nb_deviations(plan, photons, sums[1] / sums[0], deviations);
    nb_solid_angle(plan);
    nb_to_int(plan, photons, 55000.0 / sums[3], 40.0, counts);
    nb_to_grey(plan, photons, 250.0 / sums[3], grey);
    memset(header, ' ', sizeof header);
    write_file("floatimage.bin", "", 0, photons, count * sizeof *photons);
    write_file("intimage.img", header, sizeof header, counts, count * sizeof *counts);
    write_file("image.pgm", "P5\n", 3, grey, count);
    nb_random_start(&random, -1, 0, zeros);
    nb_noise(&random, photons, pixels, pixels, plan->roi, 40.0, counts, &photons_drawn, &overloads);
    write_file("noiseimage.img", header, sizeof header, counts, count * sizeof *counts);
}

int main(int argc, char **argv)
{
    nb_plan plan = {0};
    if (argc < 3)
        return 9;
    clock_t start = clock();
    plan.table = read_hkl(argv[2], &plan);
    if (!strcmp(argv[1], "read"))
        printf("%.6f\n", (double)(clock() - start) / CLOCKS_PER_SEC);
    else if (argc > 4)
        image(&plan, atol(argv[3]), atof(argv[4]));
    return 0;
}
