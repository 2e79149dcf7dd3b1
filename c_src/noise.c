/* The uniform generator that every random stream of the original shares, and the photon noise
 * drawn from it. Single precision where the original has it. */
#include <math.h>

#include "cref.h"

static int64_t step(int64_t x)
{
    int64_t k = x / 127773;
    x = 16807 * (x - k * 127773) - 2836 * k;
    return x < 0 ? x + 2147483647 : x;
}

void nb_random_start(nb_random *r, int64_t seed, int64_t iy, const int64_t *iv)
{
    r->seed = seed;
    r->iy = iy;
    for (int j = 0; j < 32; j++)
        r->iv[j] = iv[j];
    r->has_spare = 0;
    r->spare = 0.0f;
    r->old = -1.0f;
    r->g = r->sq = r->alx = 0.0f;
}

float nb_uniform(nb_random *r)
{
    if (r->seed <= 0 || r->iy == 0) {
        r->seed = -r->seed < 1 ? 1 : -r->seed;
        for (int j = 39; j >= 0; j--) {
            r->seed = step(r->seed);
            if (j < 32)
                r->iv[j] = r->seed;
        }
        r->iy = r->iv[0];
    }
    r->seed = step(r->seed);
    int64_t j = r->iy / 67108864;
    r->iy = r->iv[j];
    r->iv[j] = r->seed;
    float u = (float)((1.0 / 2147483647.0) * (double)r->iy);
    return (double)u > 1.0 - 1.2e-7 ? (float)(1.0 - 1.2e-7) : u;
}

static float gauss(nb_random *r)
{
    if (r->has_spare) {
        r->has_spare = 0;
        return r->spare;
    }
    float v1, v2, rsq;
    do {
        v1 = (float)(2.0 * (double)nb_uniform(r) - 1.0);
        v2 = (float)(2.0 * (double)nb_uniform(r) - 1.0);
        rsq = v1 * v1 + v2 * v2;
    } while (rsq >= 1.0f || rsq == 0.0f);
    float fac = (float)sqrt(-2.0 * log((double)rsq) / (double)rsq);
    r->spare = v1 * fac;
    r->has_spare = 1;
    return v2 * fac;
}

static float log_gamma(float xx)
{
    static const double c[6] = {76.18009172947146, -86.50532032941677, 24.01409824083091,
                                -1.231739572450155, 0.1208650973866179e-2, -0.5395239384953e-5};
    double x = (double)xx, y = x;
    double w = x + 5.5;
    w = w - (x + 0.5) * log(w);
    double series = 1.000000000190015;
    for (int j = 0; j < 6; j++) {
        y = y + 1.0;
        series = series + c[j] / y;
    }
    return (float)(-w + log(2.5066282746310005 * series / x));
}

static float poisson_by_products(nb_random *r, float x)
{
    if (x != r->old) {
        r->old = x;
        r->g = (float)exp(-(double)x);
    }
    float em = -1.0f, t = 1.0f;
    do {
        em = em + 1.0f;
        t = t * nb_uniform(r);
    } while (t > r->g);
    return em;
}

static float poisson_by_rejection(nb_random *r, float x)
{
    if (x != r->old) {
        r->old = x;
        r->sq = (float)sqrt(2.0 * (double)x);
        r->alx = (float)log((double)x);
        r->g = x * r->alx - log_gamma((float)((double)x + 1.0));
    }
    float em, y, t;
    do {
        do {
            y = (float)tan(3.14159265358979323846 * (double)nb_uniform(r));
            em = r->sq * y + x;
        } while (em < 0.0f);
        em = floorf(em);
        float exponent = em * r->alx - log_gamma((float)((double)em + 1.0)) - r->g;
        t = (float)(0.9 * (1.0 + (double)(y * y)) * exp((double)exponent));
    } while (nb_uniform(r) > t);
    return em;
}

float nb_poisson(nb_random *r, float x)
{
    if (x > 1e6f)
        return (float)((double)x + sqrt((double)x) * (double)gauss(r));
    if (x < 12.0f)
        return poisson_by_products(r, x);
    return poisson_by_rejection(r, x);
}

static uint16_t low_word(double t)
{
    if (t > -2147483649.0 && t < 2147483648.0)
        return (uint16_t)(uint32_t)(int32_t)t;
    return 0;
}

void nb_noise(nb_random *r, const float *image, const int64_t *shape, const int64_t *roi, double adc,
              uint16_t *counts, double *photons, int64_t *overloads)
{
    for (int64_t row = 0; row < shape[0] * shape[1]; row++)
        for (int64_t fast = 0; fast < shape[2]; fast++) {
            int64_t slow = row % shape[1];
            if (fast < roi[0] || fast > roi[1] || slow < roi[2] || slow > roi[3])
                continue;
            int64_t index = row * shape[2] + fast;
            double t = (double)nb_poisson(r, image[index]);
            *photons += t;
            t += adc;
            if (t > 65535.0) {
                t = 65535.0;
                *overloads += 1;
            }
            counts[index] = low_word(t);
        }
}
