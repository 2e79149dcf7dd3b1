/* Figures of a rendered image and its integers, in raster order. */
#include <math.h>
#include <stddef.h>

#include "cref.h"

typedef struct {
    int64_t fast_first, fast_end, slow_first, slow_end;
} window;

static window roi_on_image(const int64_t *roi, int64_t n_fast, int64_t n_slow)
{
    window w = {roi[0] > 0 ? roi[0] : 0, roi[1] + 1 < n_fast ? roi[1] + 1 : n_fast,
                roi[2] > 0 ? roi[2] : 0, roi[3] + 1 < n_slow ? roi[3] + 1 : n_slow};
    return w;
}

int64_t nb_sums(const nb_plan *p, const float *image, double *sums)
{
    window w = roi_on_image(p->panels.roi, p->panels.n_fast, p->panels.n_slow);
    int64_t count = 0, where = -1;
    double total = 0.0, squares = 0.0;
    float highest = 0.0f;
    for (int64_t row = 0; row < p->n_panels * p->panels.n_slow; row++) {
        if (row % p->panels.n_slow < w.slow_first || row % p->panels.n_slow >= w.slow_end)
            continue;
        for (int64_t fast = w.fast_first; fast < w.fast_end; fast++) {
            int64_t index = row * p->panels.n_fast + fast;
            float value = image[index];
            if (value > highest) {
                highest = value;
                where = index;
            }
            if (p->panels.mask == NULL || p->panels.mask[index]) {
                count++;
                total += (double)value;
                squares += (double)(value * value);
            }
        }
    }
    sums[0] = (double)count;
    sums[1] = total;
    sums[2] = squares;
    sums[3] = (double)highest;
    return where;
}

void nb_deviations(const nb_plan *p, const float *image, double mean, double *sums)
{
    window w = roi_on_image(p->panels.roi, p->panels.n_fast, p->panels.n_slow);
    int64_t count = 0;
    double squares = 0.0;
    for (int64_t row = 0; row < p->n_panels * p->panels.n_slow; row++) {
        if (row % p->panels.n_slow < w.slow_first || row % p->panels.n_slow >= w.slow_end)
            continue;
        for (int64_t fast = w.fast_first; fast < w.fast_end; fast++) {
            double deviation = (double)image[row * p->panels.n_fast + fast] - mean;
            squares += deviation * deviation;
            count++;
        }
    }
    sums[0] = (double)count;
    sums[1] = squares;
}

void nb_to_int(const nb_plan *p, const float *image, double scale, double adc, uint16_t *counts)
{
    window w = roi_on_image(p->panels.roi, p->panels.n_fast, p->panels.n_slow);
    for (int64_t row = 0; row < p->n_panels * p->panels.n_slow; row++) {
        if (row % p->panels.n_slow < w.slow_first || row % p->panels.n_slow >= w.slow_end)
            continue;
        for (int64_t fast = w.fast_first; fast < w.fast_end; fast++) {
            int64_t index = row * p->panels.n_fast + fast;
            double t = (double)image[index] * scale + adc;
            t = t > 0.0 ? t : 0.0;
            t = t < 65535.0 ? t : 65535.0;
            counts[index] = (uint16_t)floorf((float)(t + 0.5));
        }
    }
}

void nb_to_grey(const nb_plan *p, const float *image, double scale, uint8_t *grey)
{
    window w = roi_on_image(p->panels.roi, p->panels.n_fast, p->panels.n_slow);
    for (int64_t row = 0; row < p->n_panels * p->panels.n_slow; row++) {
        if (row % p->panels.n_slow < w.slow_first || row % p->panels.n_slow >= w.slow_end)
            continue;
        for (int64_t fast = w.fast_first; fast < w.fast_end; fast++) {
            int64_t index = row * p->panels.n_fast + fast;
            double t = (double)image[index] * scale;
            t = t > 255.0 ? 255.0 : t;
            t = t > -2147483649.0 ? t : 0.0;
            grey[index] = (uint8_t)((int32_t)t & 0xFF);
        }
    }
}
