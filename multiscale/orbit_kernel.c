/* The orbit law over a batch of points: deformation gradients in, energy, first Piola-Kirchhoff stress and tangent out.
 *
 *     W(e) = constant + linear.e + 1/2 e.quadratic.e + sum_g v_g sum_k softplus(u_k.e + b_k) + gamma (J0/J - 1)_+^4
 *
 * in the six components e of the Green-Lagrange strain, shear doubled (multiscale/strain.py). As many points travel together as a
 * vector has lanes (atomistic/vectors.h comes before this text). Per image k of a neuron: t = exp(-|z|), and 1/(1 + t) gives sigma
 * and sigma (1 - sigma); one division serves four images, and one logarithm all images of a neuron, since their sum of ln(1 + t) is
 * the logarithm of a product. The Hessian is carried as 21 numbers; one chain rule per point leads to A.
 *
 * No global state: as many threads as you like may call it. No -ffast-math: comparisons with NaN must stay what they are.
 */

enum { QUAD = 4, IMAGES = 32, BLOCKS = 32 / LANES, RECORD = 34, SUMS = 27 };

typedef struct {
    int64_t groups;           /* runs of images with one amplitude; at most 512 images each, a multiple of 4 (QUAD) */
    const int64_t *begin;     /* (groups + 1) first image of each run */
    const double *amplitude;  /* (groups) v */
    const double *images;     /* (images, 34): u (6), b, v u (6), v u u^T (21, upper triangle by rows) */
    double constant;
    const double *linear;     /* (6) */
    const double *quadratic;  /* (6, 6) */
    double growth_modulus;
    double growth_threshold;
} orbit_terms;

/* What one block of points, one a lane, carries through the images. */
typedef struct {
    vd F[9], H[9], e[6], J;
    vd energy;       /* without the amplitudes' constant part */
    vd product, rest; /* of the running neuron: prod (1 + t), sum max(z, 0) */
    vd sums[SUMS];   /* S (6), D (21) */
} block;

/* sigma and sigma (1 - sigma) of `count` images (a multiple of four); the neuron's product and rest grow. */
INLINE void activate(block *at, const double *image, int count, vd *slope, vd *curvature) {
    const vd e0 = at->e[0], e1 = at->e[1], e2 = at->e[2], e3 = at->e[3], e4 = at->e[4], e5 = at->e[5];
    vd product = at->product, rest = at->rest;
    for (int k = 0; k < count; k += QUAD) {
        vd t[QUAD], p[QUAD];
        vi below[QUAD];
        for (int q = 0; q < QUAD; ++q) {
            const double *u = image + (k + q) * RECORD;
            vd z = u[6] + u[0] * e0 + u[1] * e1 + u[2] * e2 + u[3] * e3 + u[4] * e4 + u[5] * e5;
            below[q] = z < 0.0;
            vd size = magnitude(z);
            rest += 0.5 * (z + size);
            t[q] = exp_of_minus(size);
            p[q] = 1.0 + t[q];
        }
        const vd first = p[0] * p[1], second = p[2] * p[3], all = first * second;
        product *= all;
        const vd inverse = 1.0 / all, a = inverse * second, b = inverse * first;
        const vd r[QUAD] = {a * p[1], a * p[0], b * p[3], b * p[2]};
        for (int q = 0; q < QUAD; ++q) {
            const vd other = t[q] * r[q];
            slope[k + q] = choose(below[q], other, r[q]);
            curvature[k + q] = other * r[q];
        }
    }
    at->product = product;
    at->rest = rest;
}

INLINE void accumulate_stress(block *at, const double *image, int count, const vd *slope) {
    vd s[6];
    for (int a = 0; a < 6; ++a) s[a] = at->sums[a];
    for (int k = 0; k < count; ++k, image += RECORD) {
        UNROLL
        for (int a = 0; a < 6; ++a) s[a] += slope[k] * image[7 + a];
    }
    for (int a = 0; a < 6; ++a) at->sums[a] = s[a];
}

INLINE void accumulate_hessian(block *at, const double *image, int count, const vd *curvature) {
    vd d[21];
    UNROLL
    for (int a = 0; a < 21; ++a) d[a] = at->sums[6 + a];
    for (int k = 0; k < count; ++k, image += RECORD) {
        UNROLL
        for (int a = 0; a < 21; ++a) d[a] += curvature[k] * image[13 + a];
    }
    UNROLL
    for (int a = 0; a < 21; ++a) at->sums[6 + a] = d[a];
}

/* Strain from H = F - I, E = (H + H^T + H^T H) / 2; returns whether all lanes have det F > 0 (false for NaN). */
INLINE int begin_block(block *at, const double *F, int64_t points) {
    for (int lane = 0; lane < LANES; ++lane)
        for (int c = 0; c < 9; ++c) at->F[c][lane] = lane < points ? F[9 * lane + c] : (c % 4 == 0);
    const vd *f = at->F;
    vd *h = at->H;
    for (int c = 0; c < 9; ++c) h[c] = f[c] - (double)(c % 4 == 0);
    at->J = f[0] * (f[4] * f[8] - f[5] * f[7]) - f[1] * (f[3] * f[8] - f[5] * f[6]) + f[2] * (f[3] * f[7] - f[4] * f[6]);
    for (int a = 0; a < 3; ++a) at->e[a] = h[4 * a] + 0.5 * (h[a] * h[a] + h[3 + a] * h[3 + a] + h[6 + a] * h[6 + a]);
    at->e[3] = h[5] + h[7] + h[1] * h[2] + h[4] * h[5] + h[7] * h[8];
    at->e[4] = h[2] + h[6] + h[0] * h[2] + h[3] * h[5] + h[6] * h[8];
    at->e[5] = h[1] + h[3] + h[0] * h[1] + h[3] * h[4] + h[6] * h[7];
    at->energy = splat(0.0);
    for (int a = 0; a < SUMS; ++a) at->sums[a] = splat(0.0);
    for (int lane = 0; lane < LANES; ++lane)
        if (!(at->J[lane] > 0.0)) return 0;
    return 1;
}

static const int ROWS[6] = {0, 1, 2, 1, 0, 0}, COLUMNS[6] = {0, 1, 2, 2, 2, 1};
static const int VOIGT[3][3] = {{0, 5, 4}, {5, 1, 3}, {4, 3, 2}};

/* gamma (J0/J - 1)_+^4: S = h B, D = J h' B x B - h (B o B), B = C^-1, h = J g'. */
INLINE void add_growth(block *at, double modulus, double threshold) {
    const vd *f = at->F, ratio = threshold / at->J, over = ratio - 1.0, x = choose(over > 0.0, over, splat(0.0));
    vd inverse[3][3], B[3][3];
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) {
            const int r0 = (j + 1) % 3, r1 = (j + 2) % 3, c0 = (i + 1) % 3, c1 = (i + 2) % 3;
            inverse[i][j] = (f[3 * r0 + c0] * f[3 * r1 + c1] - f[3 * r0 + c1] * f[3 * r1 + c0]) / at->J;
        }
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j)
            B[i][j] = inverse[i][0] * inverse[j][0] + inverse[i][1] * inverse[j][1] + inverse[i][2] * inverse[j][2];
    const vd x3 = x * x * x, first = -4.0 * modulus * x3 * ratio;
    const vd second = modulus * (12.0 * x * x * ratio * ratio + 4.0 * x3 * ratio);
    at->energy += modulus * x3 * x;
    for (int a = 0, k = 6; a < 6; ++a) {
        const int i = ROWS[a], j = COLUMNS[a];
        at->sums[a] += first * B[i][j];
        for (int b = a; b < 6; ++b, ++k) {
            const int l = ROWS[b], m = COLUMNS[b];
            at->sums[k] += second * B[i][j] * B[l][m] - first * (B[i][l] * B[j][m] + B[i][m] * B[j][l]);
        }
    }
}

/* Constant, linear and quadratic part; then P = F S and A_iJkL = delta_ik S_JL + F_iM F_kN D_MJNL. */
static void finish_block(block *at, const orbit_terms *terms, int64_t points, double *W, double *P, double *A) {
    vd linear[6], energy = at->energy + terms->constant;
    for (int a = 0; a < 6; ++a) {
        linear[a] = splat(0.0);
        for (int b = 0; b < 6; ++b) linear[a] += terms->quadratic[6 * a + b] * at->e[b];
        energy += at->e[a] * (terms->linear[a] + 0.5 * linear[a]);
        at->sums[a] += terms->linear[a] + linear[a];
    }
    for (int a = 0, k = 6; a < 6; ++a)
        for (int b = a; b < 6; ++b, ++k) at->sums[k] += terms->quadratic[6 * a + b];
    at->energy = energy;
    for (int lane = 0; lane < LANES; ++lane)
        if (at->J[lane] < terms->growth_threshold) {
            add_growth(at, terms->growth_modulus, terms->growth_threshold);
            break;
        }
    if (W)
        for (int lane = 0; lane < points; ++lane) W[lane] = at->energy[lane];
    const vd *f = at->F, *S = at->sums;
    if (P)
        for (int i = 0; i < 3; ++i)
            for (int J = 0; J < 3; ++J) {
                const vd p = f[3 * i] * S[VOIGT[0][J]] + f[3 * i + 1] * S[VOIGT[1][J]] + f[3 * i + 2] * S[VOIGT[2][J]];
                for (int lane = 0; lane < points; ++lane) P[9 * lane + 3 * i + J] = p[lane];
            }
    if (!A) return;
    vd D[6][6], half[3][3][6], tangent[9][9];
    for (int a = 0, k = 6; a < 6; ++a)
        for (int b = a; b < 6; ++b, ++k) D[a][b] = D[b][a] = at->sums[k];
    for (int i = 0; i < 3; ++i)
        for (int J = 0; J < 3; ++J)
            for (int b = 0; b < 6; ++b)
                half[i][J][b] = f[3 * i] * D[VOIGT[0][J]][b] + f[3 * i + 1] * D[VOIGT[1][J]][b] + f[3 * i + 2] * D[VOIGT[2][J]][b];
    for (int i = 0; i < 3; ++i)
        for (int J = 0; J < 3; ++J)
            for (int k = 0; k < 3; ++k)
                for (int L = 0; L < 3; ++L) {
                    if (3 * k + L < 3 * i + J) continue;
                    vd a = f[3 * k] * half[i][J][VOIGT[0][L]] + f[3 * k + 1] * half[i][J][VOIGT[1][L]] + f[3 * k + 2] * half[i][J][VOIGT[2][L]];
                    if (i == k) a += S[VOIGT[J][L]];
                    tangent[3 * i + J][3 * k + L] = tangent[3 * k + L][3 * i + J] = a;
                }
    const double *entry = (const double *)tangent;
    for (int lane = 0; lane < points; ++lane)
        for (int c = 0; c < 81; ++c) A[81 * lane + c] = entry[LANES * c + lane];
}

/* W (n), P (n, 9), A (n, 81) at F (n, 9); outputs that are NULL are skipped. Returns the first point whose det F is not positive
 * (from its block on nothing is written), or -1. */
int64_t orbit_law(int64_t n, const double *F, const orbit_terms *terms, double *W, double *P, double *A) {
    block at[BLOCKS];
    vd slope[IMAGES], curvature[IMAGES];
    for (int64_t start = 0; start < n; start += BLOCKS * LANES) {
        const int64_t left = n - start;
        const int blocks = left >= BLOCKS * LANES ? BLOCKS : (int)((left + LANES - 1) / LANES);
        for (int j = 0; j < blocks; ++j) {
            const int64_t point = start + j * LANES;
            if (!begin_block(&at[j], F + 9 * point, n - point))
                for (int lane = 0;; ++lane)
                    if (!(at[j].J[lane] > 0.0)) return point + lane;
        }
        for (int64_t g = 0; g < terms->groups; ++g) {
            for (int j = 0; j < blocks; ++j) at[j].product = splat(1.0), at[j].rest = splat(0.0);
            for (int64_t k = terms->begin[g]; k < terms->begin[g + 1]; k += IMAGES) {
                const int count = terms->begin[g + 1] - k < IMAGES ? (int)(terms->begin[g + 1] - k) : IMAGES;
                const double *image = terms->images + RECORD * k;
                /* the same few kilobytes of images serve all blocks from the first-level cache */
                for (int j = 0; j < blocks; ++j) {
                    activate(&at[j], image, count, slope, curvature);
                    if (P || A) accumulate_stress(&at[j], image, count, slope);
                    if (A) accumulate_hessian(&at[j], image, count, curvature);
                }
            }
            for (int j = 0; j < blocks; ++j) at[j].energy += terms->amplitude[g] * (at[j].rest + log_of(at[j].product));
        }
        for (int j = 0; j < blocks; ++j) {
            const int64_t point = start + j * LANES, points = n - point < LANES ? n - point : LANES;
            finish_block(&at[j], terms, points, W ? W + point : 0, P ? P + 9 * point : 0, A ? A + 81 * point : 0);
        }
    }
    return -1;
}
