/* What the kernels of all laws share: the parameters, what one block of points carries (one point a lane), and rules of calculus.
 *
 * A law is a function of arguments x of strain, ARGUMENTS of them (the text before this one says how many; another says which):
 *
 *     W = constant + linear.x + 1/2 x.quadratic.x + sum_g v_g sum_k softplus(u_k.x + b_k) + log_volume ln J + gamma (J0/J - 1)_+^4
 *
 * In a law of temperature constant, linear, quadratic and v are polynomials in theta = (T - origin) / span, their coefficients stored one
 * after the other (`powers` of them; one where the law knows no temperature), and W has the term - heat_capacity (T ln(T / span) - T).
 */

enum {
    PAIRS = ARGUMENTS * (ARGUMENTS + 1) / 2,
    REGISTERS = LANES == 8 ? 24 : 12,     /* for sums of second derivatives: TILE of them at a time, the last tile's tail idle */
    TILES = (PAIRS + REGISTERS - 1) / REGISTERS,
    TILE = (PAIRS + TILES - 1) / TILES,
    RECORD = ARGUMENTS + 1 + PAIRS,
    QUAD = 4,
    BLOCKS = 32 / LANES
};

enum { LAYOUT = 1 };

/* Offsets count doubles from the block's own beginning. */
typedef struct {
    char kind[8];        /* of the arguments, KIND; a block of another kind or layout is refused */
    int64_t layout, arguments;
    int64_t groups;      /* runs of images with one amplitude; a run is a multiple of four (QUAD), and at most 512 */
    int64_t begin;       /* (groups + 1) int64: first image of each run */
    int64_t amplitude;   /* (groups, powers) v */
    int64_t images;      /* (images, RECORD): u, b, and u u^T by its upper triangle's rows; then the length of a record in zeros */
    int64_t constant;    /* (powers) */
    int64_t linear;      /* (ARGUMENTS, powers) */
    int64_t quadratic;   /* (ARGUMENTS, ARGUMENTS, powers) */
    int64_t tables;      /* what the arguments are made with */
    int64_t rows;        /* of the tables */
    int64_t columns;     /* r of the gauge of trust (multiscale/trust/gauge.py), 0 where the law has none */
    int64_t gauge;       /* factor (groups, r), times v at theta = 0; offset (r, 6), slope (r, 6, 6) */
    int64_t powers;
    int64_t state;       /* numbers of state a point: R (9), and T where powers > 1 */
    double log_volume, growth_modulus, growth_threshold, border;
    double origin, span, heat_capacity, lowest, highest;
} law_parameters;

INLINE const double *section(const law_parameters *law, int64_t offset) { return (const double *)law + offset; }

typedef struct {
    vd F[9], J;                        /* in laboratory axes */
    int turned;                        /* whether there is an R, crystal axes to laboratory axes; all below are the crystal's */
    vd turn[9];
    vd T, theta;
    vd e[6];
    vd change, inverse[6], log;        /* J - 1, C^-1, ln J: where `volume` was called */
    vd x[ARGUMENTS];
    vd energy;
    vd sums[ARGUMENTS + TILES * TILE]; /* dW/dx and the upper triangle of d2W/dx2 */
    vd v, product, rest, neuron[ARGUMENTS]; /* of the running neuron: its amplitude; prod (1 + t), sum max(z, 0), sum sigma u without it */
} block;

static const int ROWS[6] = {0, 1, 2, 1, 0, 0}, COLUMNS[6] = {0, 1, 2, 2, 2, 1};
static const int VOIGT[3][3] = {{0, 5, 4}, {5, 1, 3}, {4, 3, 2}};

/* Position of (a, b), a <= b, in an upper triangle of size m stored by rows. */
#define UPPER(m, a, b) ((a) * (m) - (a) * ((a) - 1) / 2 + (b) - (a))

/* ln(1 + c): the logarithm of the rounded sum, and the rounding put right to first order. */
INLINE vd log1p_of(vd c) {
    const vd u = 1.0 + c;
    return log_of(u) - ((u - 1.0) - c) / u;
}

/* e^y - 1 of any |y| < 700: (e^y - 1) y / ln e^y with the rounded e^y (W. Kahan's way). */
INLINE vd expm1_of(vd y) {
    const vd falling = exp_of_minus(magnitude(y)), u = choose(y < 0.0, falling, 1.0 / falling);
    const vi same = u == 1.0, far = (y < -30.0) | (y > 30.0);
    const vd ratio = (u - 1.0) * y / choose(same, splat(1.0), log_of(u));
    return choose(far, u - 1.0, choose(same, y, ratio));
}

/* Fills J - 1 from H = F - I, tr H + (tr^2 H - tr H^2)/2 + det H, ln J, and C^-1 by components of a stress. */
static void volume(block *at) {
    const vd *f = at->F;
    vd h[9], inverse[3][3];
    for (int c = 0; c < 9; ++c) h[c] = f[c] - (double)(c % 4 == 0);
    const vd minors = (h[4] * h[8] - h[5] * h[7]) + (h[0] * h[8] - h[2] * h[6]) + (h[0] * h[4] - h[1] * h[3]);
    const vd det = h[0] * (h[4] * h[8] - h[5] * h[7]) - h[1] * (h[3] * h[8] - h[5] * h[6]) + h[2] * (h[3] * h[7] - h[4] * h[6]);
    at->change = h[0] + h[4] + h[8] + minors + det;
    at->log = choose(magnitude(at->change) < 0.5, log1p_of(at->change), log_of(at->J));
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) {
            const int r0 = (j + 1) % 3, r1 = (j + 2) % 3, c0 = (i + 1) % 3, c1 = (i + 2) % 3;
            inverse[i][j] = (f[3 * r0 + c0] * f[3 * r1 + c1] - f[3 * r0 + c1] * f[3 * r1 + c0]) / at->J;
        }
    for (int j = 0; at->turned && j < 3; ++j) {
        const vd *R = at->turn, x = inverse[0][j], y = inverse[1][j], z = inverse[2][j];
        for (int i = 0; i < 3; ++i) inverse[i][j] = R[i] * x + R[3 + i] * y + R[6 + i] * z;
    }
    for (int a = 0; a < 6; ++a) {
        const int i = ROWS[a], j = COLUMNS[a];
        at->inverse[a] = inverse[i][0] * inverse[j][0] + inverse[i][1] * inverse[j][1] + inverse[i][2] * inverse[j][2];
    }
}

/* D += h'' B x B - 2 h' B o B, the Hessian of a function h of ln J; B = C^-1. Its gradient is h' B. */
static void add_hessian_of_volume(const vd *B, vd first, vd second, vd *D) {
    for (int a = 0, k = 0; a < 6; ++a) {
        const int i = ROWS[a], j = COLUMNS[a];
        for (int b = a; b < 6; ++b, ++k) {
            const int l = ROWS[b], m = COLUMNS[b];
            D[k] += second * B[a] * B[b] - first * (B[VOIGT[i][l]] * B[VOIGT[j][m]] + B[VOIGT[i][m]] * B[VOIGT[j][l]]);
        }
    }
}

/* S += c.x', D += x'^T K x' with c = dW/dx, K = d2W/dx2 and G = x' (ARGUMENTS, 6). */
INLINE void add_through(const vd G[ARGUMENTS][6], const vd *sums, vd *S, vd *D) {
    for (int a = 0; a < 6; ++a)
        for (int m = 0; m < ARGUMENTS; ++m) S[a] += sums[m] * G[m][a];
    for (int m = 0; m < ARGUMENTS; ++m) {
        vd bent[6];
        for (int a = 0; a < 6; ++a) bent[a] = splat(0.0);
        for (int l = 0; l < ARGUMENTS; ++l) {
            const vd K = sums[ARGUMENTS + (l < m ? UPPER(ARGUMENTS, l, m) : UPPER(ARGUMENTS, m, l))];
            for (int a = 0; a < 6; ++a) bent[a] += K * G[l][a];
        }
        for (int a = 0, k = 0; a < 6; ++a)
            for (int b = a; b < 6; ++b, ++k) D[k] += G[m][a] * bent[b];
    }
}
