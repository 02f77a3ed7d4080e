/* The arguments of isotropic laws: ln J, Ibar_1 - 3, Ibar_2 - 3 (multiscale/symmetry/invariants.py); of transversely isotropic ones besides them
 * I_4 - 1 and I_5 - I_4^2, where the tables hold the gradient of I_4 (6) and the Hessian of I_5 - I_4^2 (21, by its upper triangle). */

/* Ibar_1 - 3 and Ibar_2 - 3 as J^rate change + 3 (J^rate - 1). */
static const double RATE[2] = {-2.0 / 3.0, -4.0 / 3.0};

INLINE void changes(const vd *e, vd *change) {
    const vd trace = e[0] + e[1] + e[2];
    const vd squares = e[0] * e[0] + e[1] * e[1] + e[2] * e[2] + 0.5 * (e[3] * e[3] + e[4] * e[4] + e[5] * e[5]);
    change[0] = 2.0 * trace;
    change[1] = 4.0 * trace + 2.0 * (trace * trace - squares);
}

static void begin_arguments(block *at, const double *tables, int64_t rows) {
    volume(at);
    vd change[2];
    changes(at->e, change);
    at->x[0] = at->log;
    for (int i = 0; i < 2; ++i) {
        const vd rise = expm1_of(RATE[i] * at->log);
        at->x[1 + i] = change[i] + rise * change[i] + 3.0 * rise;
    }
#if ARGUMENTS == 5
    const vd *e = at->e;
    vd along = splat(0.0), shear = splat(0.0);
    for (int a = 0, k = 6; a < 6; ++a) {
        along += tables[a] * e[a];
        shear += 0.5 * tables[k++] * e[a] * e[a];
        for (int b = a + 1; b < 6; ++b) shear += tables[k++] * e[a] * e[b];
    }
    at->x[3] = along;
    at->x[4] = shear;
#endif
}

#define THROUGH_ARGUMENTS 1

static void end_arguments(block *at, const double *tables, int64_t rows, vd G[ARGUMENTS][6], vd *S, vd *D) {
    const vd *e = at->e, *c = at->sums, *B = at->inverse;
    vd change[2];
    changes(e, change);
    for (int a = 0; a < 6; ++a) G[0][a] = B[a];
    vd log_slope = c[0], log_bend = splat(0.0);
    for (int i = 0; i < 2; ++i) {
        const double r = RATE[i];
        const vd power = 1.0 + expm1_of(r * at->log), scaled = r * power * (change[i] + 3.0);
        vd u[6]; /* the change's gradient */
        for (int a = 0; a < 3; ++a) u[a] = i ? 4.0 + 4.0 * (e[0] + e[1] + e[2] - e[a]) : splat(2.0);
        for (int a = 3; a < 6; ++a) u[a] = i ? -2.0 * e[a] : splat(0.0);
        for (int a = 0; a < 6; ++a) G[1 + i][a] = power * u[a] + scaled * B[a];
        log_slope += c[1 + i] * scaled;
        log_bend += c[1 + i] * r * scaled;
        const vd cross = c[1 + i] * r * power;
        for (int a = 0, k = 0; a < 6; ++a)
            for (int b = a; b < 6; ++b, ++k) D[k] += cross * (u[a] * B[b] + B[a] * u[b]);
        if (i) {
            const vd bend = c[2] * power;
            for (int a = 0; a < 3; ++a) {
                for (int b = a + 1; b < 3; ++b) D[UPPER(6, a, b)] += 4.0 * bend;
                D[UPPER(6, a + 3, a + 3)] -= 2.0 * bend;
            }
        }
    }
#if ARGUMENTS == 5
    for (int a = 0; a < 6; ++a) {
        G[3][a] = splat(tables[a]);
        G[4][a] = splat(0.0);
        for (int b = 0; b < 6; ++b) G[4][a] += tables[6 + (a < b ? UPPER(6, a, b) : UPPER(6, b, a))] * e[b];
    }
    for (int k = 0; k < 21; ++k) D[k] += c[4] * tables[6 + k];
#endif
    add_hessian_of_volume(B, log_slope, log_bend, D);
}
