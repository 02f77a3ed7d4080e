/* The law over a batch of points (fem/law.h): deformation gradients in, energy, first Piola-Kirchhoff stress, tangent and trust out.
 *
 * As many points travel together as a vector has lanes (atomistic/vectors.h). Per image k of a neuron: t = exp(-|z|), and 1/(1 + t)
 * gives sigma and sigma (1 - sigma); one division serves four images, and one logarithm all images of a neuron, since their sum of
 * ln(1 + t) is the logarithm of a product. Second derivatives are carried by the upper triangle; one chain rule per point leads to A.
 *
 * No global state. No -ffast-math: comparisons with NaN must stay what they are.
 */

enum { IMAGES = 32, STATE = 9 };

/* sigma and sigma (1 - sigma) of `count` images (a multiple of four); the neuron's product and rest grow. */
INLINE void activate(block *at, const double *image, int count, vd *slope, vd *curvature) {
    vd x[ARGUMENTS];
    for (int a = 0; a < ARGUMENTS; ++a) x[a] = at->x[a];
    vd product = at->product, rest = at->rest;
    for (int k = 0; k < count; k += QUAD) {
        vd t[QUAD], p[QUAD];
        vi below[QUAD];
        for (int q = 0; q < QUAD; ++q) {
            const double *u = image + (k + q) * RECORD;
            vd z = splat(u[ARGUMENTS]);
            UNROLL
            for (int a = 0; a < ARGUMENTS; ++a) z += u[a] * x[a];
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

/* `width` sums of count images, `first` being where theirs begin in a record. */
INLINE void accumulate(vd *sums, int width, const double *image, int first, int count, const vd *factor) {
    vd s[24];
    UNROLL
    for (int a = 0; a < width; ++a) s[a] = sums[a];
    for (int k = 0; k < count; ++k, image += RECORD) {
        UNROLL
        for (int a = 0; a < width; ++a) s[a] += factor[k] * image[first + a];
    }
    UNROLL
    for (int a = 0; a < width; ++a) sums[a] = s[a];
}

/* The first point of the block that no law can take, or -1; a comparison with NaN is false. */
static int inadmissible(const block *at, int points) {
    for (int lane = 0; lane < points; ++lane) {
        if (!(at->J[lane] > 0.0 && at->J[lane] < INFINITY)) return lane;
        for (int i = 0; at->turned && i < 3; ++i)
            for (int j = i; j < 3; ++j) {
                double dot = -(double)(i == j);
                for (int k = 0; k < 3; ++k) dot += at->turn[3 * k + i][lane] * at->turn[3 * k + j][lane];
                if (!(fabs(dot) < 1e-6)) return lane;
            }
    }
    return -1;
}

/* M with S' = M S the components of R S R^T; strains turn back by its transpose. */
static void action(const vd *R, vd M[6][6]) {
    for (int a = 0; a < 6; ++a)
        for (int b = 0; b < 6; ++b) {
            const int i = ROWS[a], j = COLUMNS[a], k = ROWS[b], l = COLUMNS[b];
            M[a][b] = R[3 * i + k] * R[3 * j + l];
            if (k != l) M[a][b] += R[3 * i + l] * R[3 * j + k];
        }
}

/* One point a lane from rows of nine numbers; lanes without a point hold the identity. */
INLINE void load(vd *columns, const double *rows, int points) {
    vd number[LANES];
    for (int c = 0; c < 9; ++c) columns[c] = splat(c % 4 == 0);
    if (points < LANES) {
        for (int lane = 0; lane < points; ++lane)
            for (int c = 0; c < 9; ++c) columns[c][lane] = rows[9 * lane + c];
        return;
    }
    int c = 0;
    for (; c + LANES <= 9; c += LANES) {
        for (int lane = 0; lane < LANES; ++lane) number[lane] = *(const unaligned_vd *)(rows + 9 * lane + c);
        transpose(number);
        for (int k = 0; k < LANES; ++k) columns[c + k] = number[k];
    }
    for (; c < 9; ++c)
        for (int lane = 0; lane < LANES; ++lane) columns[c][lane] = rows[9 * lane + c];
}

/* And back: `count` numbers a point; the columns are spoilt. */
INLINE void store(double *rows, vd *columns, int count, int points) {
    int c = 0;
    for (; c + LANES <= count; c += LANES) {
        transpose(columns + c);
        for (int lane = 0; lane < points; ++lane) *(unaligned_vd *)(rows + count * lane + c) = columns[c + lane];
    }
    for (; c < count; ++c)
        for (int lane = 0; lane < points; ++lane) rows[count * lane + c] = columns[c][lane];
}

/* Reads the points; strain from H = F - I, E = (H + H^T + H^T H) / 2. Returns the first point that no law can take, or -1. */
static int begin_block(block *at, const double *F, const double *R, int points) {
    at->turned = R != 0;
    load(at->F, F, points);
    if (R) load(at->turn, R, points);
    const vd *f = at->F;
    vd h[9];
    for (int c = 0; c < 9; ++c) h[c] = f[c] - (double)(c % 4 == 0);
    at->J = f[0] * (f[4] * f[8] - f[5] * f[7]) - f[1] * (f[3] * f[8] - f[5] * f[6]) + f[2] * (f[3] * f[7] - f[4] * f[6]);
    const int bad = inadmissible(at, points);
    if (bad >= 0) return bad;
    vd *e = at->e;
    for (int a = 0; a < 3; ++a) e[a] = h[4 * a] + 0.5 * (h[a] * h[a] + h[3 + a] * h[3 + a] + h[6 + a] * h[6 + a]);
    e[3] = h[5] + h[7] + h[1] * h[2] + h[4] * h[5] + h[7] * h[8];
    e[4] = h[2] + h[6] + h[0] * h[2] + h[3] * h[5] + h[6] * h[8];
    e[5] = h[1] + h[3] + h[0] * h[1] + h[3] * h[4] + h[6] * h[7];
    if (R) {
        vd M[6][6], turned[6];
        action(at->turn, M);
        for (int a = 0; a < 6; ++a) {
            turned[a] = splat(0.0);
            for (int b = 0; b < 6; ++b) turned[a] += M[b][a] * e[b];
        }
        for (int a = 0; a < 6; ++a) e[a] = turned[a];
    }
    return -1;
}

/* Constant, linear and quadratic part in the arguments. */
static void add_quadratic(block *at, const law_parameters *law) {
    const double *linear = section(law, law->linear), *quadratic = section(law, law->quadratic);
    vd energy = at->energy + law->constant;
    for (int a = 0, k = ARGUMENTS; a < ARGUMENTS; ++a) {
        vd bent = splat(0.0);
        for (int b = 0; b < ARGUMENTS; ++b) bent += quadratic[ARGUMENTS * a + b] * at->x[b];
        energy += at->x[a] * (linear[a] + 0.5 * bent);
        at->sums[a] += linear[a] + bent;
        for (int b = a; b < ARGUMENTS; ++b, ++k) at->sums[k] += quadratic[ARGUMENTS * a + b];
    }
    at->energy = energy;
}

/* log_volume ln J + gamma (J0/J - 1)_+^4, functions of ln J. */
static void add_volume(block *at, const law_parameters *law, vd *S, vd *D) {
    int crushed = 0;
    for (int lane = 0; lane < LANES; ++lane) crushed |= at->J[lane] < law->growth_threshold;
    if (!crushed && law->log_volume == 0.0) return;
    volume(at);
    const vd ratio = law->growth_threshold / at->J, over = ratio - 1.0, x = choose(over > 0.0, over, splat(0.0));
    const vd x3 = x * x * x, first = law->log_volume - 4.0 * law->growth_modulus * x3 * ratio;
    const vd second = law->growth_modulus * (12.0 * x * x * ratio * ratio + 4.0 * x3 * ratio);
    at->energy += law->log_volume * at->log + law->growth_modulus * x3 * x;
    for (int a = 0; a < 6; ++a) S[a] += first * at->inverse[a];
    add_hessian_of_volume(at->inverse, first, second, D);
}

/* From the crystal's axes to the laboratory's. */
static void turn_derivatives(const vd *R, vd *S, vd D[6][6]) {
    vd M[6][6], turned[6], half[6][6];
    action(R, M);
    for (int a = 0; a < 6; ++a) {
        turned[a] = splat(0.0);
        for (int b = 0; b < 6; ++b) turned[a] += M[a][b] * S[b];
        for (int b = 0; b < 6; ++b) {
            half[a][b] = splat(0.0);
            for (int c = 0; c < 6; ++c) half[a][b] += M[a][c] * D[c][b];
        }
    }
    for (int a = 0; a < 6; ++a) {
        S[a] = turned[a];
        for (int b = a; b < 6; ++b) {
            vd sum = splat(0.0);
            for (int c = 0; c < 6; ++c) sum += half[a][c] * M[b][c];
            D[a][b] = D[b][a] = sum;
        }
    }
}

/* From the sums to W, P = F S and A_iJkL = delta_ik S_JL + F_iM F_kN D_MJNL. */
static void finish_block(block *at, const law_parameters *law, int points, double *W, double *P, double *A) {
    vd S[6], packed[21], D[6][6];
    for (int a = 0; a < 6; ++a) S[a] = splat(0.0);
    for (int k = 0; k < 21; ++k) packed[k] = splat(0.0);
    add_quadratic(at, law);
    end_arguments(at, section(law, law->tables), law->rows, S, packed);
    add_volume(at, law, S, packed);
    if (W)
        for (int lane = 0; lane < points; ++lane) W[lane] = at->energy[lane];
    if (!P && !A) return;
    for (int a = 0, k = 0; a < 6; ++a)
        for (int b = a; b < 6; ++b, ++k) D[a][b] = D[b][a] = packed[k];
    if (at->turned) turn_derivatives(at->turn, S, D);
    const vd *f = at->F;
    if (P) {
        vd stress[9];
        for (int i = 0; i < 3; ++i)
            for (int J = 0; J < 3; ++J)
                stress[3 * i + J] = f[3 * i] * S[VOIGT[0][J]] + f[3 * i + 1] * S[VOIGT[1][J]] + f[3 * i + 2] * S[VOIGT[2][J]];
        store(P, stress, 9, points);
    }
    if (!A) return;
    vd half[3][3][6], tangent[81];
    for (int i = 0; i < 3; ++i)
        for (int J = 0; J < 3; ++J)
            for (int b = 0; b < 6; ++b)
                half[i][J][b] = f[3 * i] * D[VOIGT[0][J]][b] + f[3 * i + 1] * D[VOIGT[1][J]][b] + f[3 * i + 2] * D[VOIGT[2][J]][b];
    for (int row = 0; row < 9; ++row)
        for (int column = row; column < 9; ++column) {
            const int i = row / 3, J = row % 3, k = column / 3, L = column % 3;
            const vd *h = half[i][J];
            vd a = f[3 * k] * h[VOIGT[0][L]] + f[3 * k + 1] * h[VOIGT[1][L]] + f[3 * k + 2] * h[VOIGT[2][L]];
            if (i == k) a += S[VOIGT[J][L]];
            tangent[9 * row + column] = tangent[9 * column + row] = a;
        }
    store(A, tangent, 81, points);
}

int64_t atomlaw_law(int64_t n, const double *F, const double *state, const void *parameters, double *W, double *P, double *A, double *trust) {
    const law_parameters *law = parameters;
    const int64_t *begin = (const int64_t *)section(law, law->begin);
    const double *amplitude = section(law, law->amplitude), *images = section(law, law->images);
    block at[BLOCKS];
    vd slope[IMAGES], curvature[IMAGES];
    for (int64_t start = 0; start < n; start += BLOCKS * LANES) {
        const int64_t left = n - start;
        const int blocks = left >= BLOCKS * LANES ? BLOCKS : (int)((left + LANES - 1) / LANES);
        for (int j = 0; j < blocks; ++j) {
            const int64_t point = start + j * LANES;
            const int points = n - point < LANES ? (int)(n - point) : LANES;
            const int bad = begin_block(&at[j], F + 9 * point, state ? state + STATE * point : 0, points);
            if (bad >= 0) return point + bad;
            begin_arguments(&at[j], section(law, law->tables), law->rows);
            at[j].energy = splat(0.0);
            for (int a = 0; a < ARGUMENTS + TILES * TILE; ++a) at[j].sums[a] = splat(0.0);
        }
        for (int64_t g = 0; g < law->groups; ++g) {
            for (int j = 0; j < blocks; ++j) at[j].product = splat(1.0), at[j].rest = splat(0.0);
            for (int64_t k = begin[g]; k < begin[g + 1]; k += IMAGES) {
                const int count = begin[g + 1] - k < IMAGES ? (int)(begin[g + 1] - k) : IMAGES;
                const double *image = images + RECORD * k;
                /* the same few kilobytes of images serve all blocks from the first-level cache */
                for (int j = 0; j < blocks; ++j) {
                    activate(&at[j], image, count, slope, curvature);
                    if (P || A) accumulate(at[j].sums, ARGUMENTS, image, ARGUMENTS + 1, count, slope);
                    for (int t = 0; A && t < TILES; ++t)
                        accumulate(at[j].sums + ARGUMENTS + TILE * t, TILE, image, 2 * ARGUMENTS + 1 + TILE * t, count, curvature);
                }
            }
            for (int j = 0; j < blocks; ++j) at[j].energy += amplitude[g] * (at[j].rest + log_of(at[j].product));
        }
        for (int j = 0; j < blocks; ++j) {
            const int64_t point = start + j * LANES;
            const int points = n - point < LANES ? (int)(n - point) : LANES;
            finish_block(&at[j], law, points, W ? W + point : 0, P ? P + 9 * point : 0, A ? A + 81 * point : 0);
        }
    }
    for (int64_t point = 0; trust && point < n; ++point) trust[point] = NAN;
    return -1;
}
