/* The arguments of laws of an integrity basis: power sums x_m = sum_r (u_mr.e)^d_m (multiscale/symmetry/integrity_basis.py).
 * The tables hold a row (8) an image: u (6), its degree d, its argument's index m. */

INLINE vd along(const double *u, const vd *e) {
    return u[0] * e[0] + u[1] * e[1] + u[2] * e[2] + u[3] * e[3] + u[4] * e[4] + u[5] * e[5];
}

static void begin_arguments(block *at, const double *tables, int64_t rows) {
    for (int m = 0; m < ARGUMENTS; ++m) at->x[m] = splat(0.0);
    for (const double *u = tables, *end = tables + 8 * rows; u < end; u += 8) {
        const vd y = along(u, at->e);
        vd power = y;
        for (int d = (int)u[6]; d > 1; --d) power *= y;
        at->x[(int)u[7]] += power;
    }
}

#define THROUGH_ARGUMENTS 1

static void end_arguments(block *at, const double *tables, int64_t rows, vd G[ARGUMENTS][6], vd *S, vd *D) {
    for (int m = 0; m < ARGUMENTS; ++m)
        for (int a = 0; a < 6; ++a) G[m][a] = splat(0.0);
    for (const double *u = tables, *end = tables + 8 * rows; u < end; u += 8) {
        const int d = (int)u[6], m = (int)u[7];
        const vd y = along(u, at->e);
        vd power = splat((double)d); /* d y^(d - 2), and d for d = 1 */
        for (int k = d; k > 2; --k) power *= y;
        const vd first = d > 1 ? power * y : power, second = (d - 1.0) * power * at->sums[m];
        for (int a = 0; a < 6; ++a) G[m][a] += first * u[a];
        for (int a = 0, k = 0; a < 6; ++a) {
            const vd scaled = second * u[a];
            for (int b = a; b < 6; ++b, ++k) D[k] += scaled * u[b];
        }
    }
}
