/* The arguments of polyconvex laws: (C - I)/2 and (cof C - I)/2 = tr(E) I - E + 2 cof E, shear doubled, and J - 1
 * (multiscale/laws/polyconvex_network.py). No tables. */

/* Of each component of cof E, shear doubled: the pairs of components of e that it is made of, cof_a = f1 e_p e_q + f2 e_r e_s. */
static const struct { int p, q, r, s; double plus, minus; } COFACTOR[6] = {
    {1, 2, 3, 3, 1.0, -0.25}, {0, 2, 4, 4, 1.0, -0.25}, {0, 1, 5, 5, 1.0, -0.25},
    {4, 5, 0, 3, 0.5, -1.0},  {3, 5, 1, 4, 0.5, -1.0},  {3, 4, 2, 5, 0.5, -1.0},
};

static void begin_arguments(block *at, const double *tables, int64_t rows) {
    volume(at);
    const vd *e = at->e, trace = e[0] + e[1] + e[2];
    for (int a = 0; a < 6; ++a) {
        at->x[a] = e[a];
        const vd plus = COFACTOR[a].plus * e[COFACTOR[a].p] * e[COFACTOR[a].q];
        const vd cofactor = plus + COFACTOR[a].minus * e[COFACTOR[a].r] * e[COFACTOR[a].s];
        at->x[6 + a] = (a < 3 ? trace : splat(0.0)) - e[a] + 2.0 * cofactor;
    }
    at->x[12] = at->change;
}

#define THROUGH_ARGUMENTS 1

static void end_arguments(block *at, const double *tables, int64_t rows, vd G[ARGUMENTS][6], vd *S, vd *D) {
    const vd *e = at->e, *c = at->sums;
    for (int a = 0; a < 6; ++a) {
        const int p = COFACTOR[a].p, q = COFACTOR[a].q, r = COFACTOR[a].r, s = COFACTOR[a].s;
        const double plus = 2.0 * COFACTOR[a].plus, minus = 2.0 * COFACTOR[a].minus;
        for (int b = 0; b < 6; ++b) {
            G[a][b] = splat(a == b);
            G[6 + a][b] = splat((double)(a < 3 && b < 3) - (a == b));
        }
        G[6 + a][p] += plus * e[q];
        G[6 + a][q] += plus * e[p];
        G[6 + a][r] += minus * e[s];
        G[6 + a][s] += minus * e[r];
        D[p < q ? UPPER(6, p, q) : UPPER(6, q, p)] += plus * c[6 + a];
        D[r < s ? UPPER(6, r, s) : UPPER(6, s, r)] += (r == s ? 2.0 : 1.0) * minus * c[6 + a];
        G[12][a] = at->J * at->inverse[a];
    }
    add_hessian_of_volume(at->inverse, c[12] * at->J, c[12] * at->J, D);
}
