/* The arguments of orbit laws and of polynomials of strain: x = e itself. One table of third-order constants C_ab,c (21, 6), or none:
 * they add 1/6 C_abc e_a e_b e_c. */

static void begin_arguments(block *at, const double *tables, int64_t rows) {
    for (int a = 0; a < 6; ++a) at->x[a] = at->e[a];
}

/* x' is the identity: S and D are the sums. */
#define THROUGH_ARGUMENTS 0

static void end_arguments(block *at, const double *tables, int64_t rows, vd G[ARGUMENTS][6], vd *S, vd *D) {
    for (int a = 0; a < 6; ++a) S[a] = at->sums[a];
    for (int k = 0; k < 21; ++k) D[k] = at->sums[6 + k];
    if (!rows) return;
    vd bent[6];
    for (int a = 0; a < 6; ++a) bent[a] = splat(0.0);
    for (int a = 0, k = 0; a < 6; ++a)
        for (int b = a; b < 6; ++b, ++k) {
            vd rise = splat(0.0);
            for (int c = 0; c < 6; ++c) rise += tables[6 * k + c] * at->e[c];
            D[k] += rise;
            bent[a] += rise * at->e[b];
            if (b > a) bent[b] += rise * at->e[a];
        }
    for (int a = 0; a < 6; ++a) {
        S[a] += 0.5 * bent[a];
        at->energy += bent[a] * at->e[a] / 6.0;
    }
}
