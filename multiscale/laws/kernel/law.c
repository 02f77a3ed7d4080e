/* The law over a batch of points (fem/law.h): deformation gradients in, energy, first Piola-Kirchhoff stress, tangent and trust out.
 *
 * As many points travel together as a vector has lanes (atomistic/vectors.h). Per image k of a neuron: t = exp(-|z|), and 1/(1 + t)
 * gives sigma and sigma (1 - sigma); one division serves four images, and one logarithm all images of a neuron, since their sum of
 * ln(1 + t) is the logarithm of a product. Second derivatives are carried by the upper triangle; one chain rule per point leads to A.
 *
 * No global state. No -ffast-math: comparisons with NaN must stay what they are.
 */

enum { IMAGES = 32 };

/* sigma and v sigma (1 - sigma) of `count` images (a multiple of four); the neuron's product and rest grow. */
INLINE void activate(block *at, const double *image, int count, vd *slope, vd *curvature) {
    vd x[ARGUMENTS];
    for (int a = 0; a < ARGUMENTS; ++a) x[a] = at->x[a];
    vd product = at->product, rest = at->rest;
    const vd v = at->v;
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
            curvature[k + q] = v * other * r[q];
        }
    }
    at->product = product;
    at->rest = rest;
}

/* `width` sums of count images, `first` being where theirs begin in a record. */
INLINE void accumulate(vd *sums, int width, const double *image, int first, int count, const vd *factor) {
    vd s[REGISTERS > ARGUMENTS ? REGISTERS : ARGUMENTS];
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
        if (!(at->T[lane] >= 0.0 && at->T[lane] < INFINITY)) return lane;
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

/* One point a lane from nine numbers every `stride`; lanes without a point hold the identity. */
INLINE void load(vd *columns, const double *rows, int64_t stride, int points) {
    vd number[LANES];
    for (int c = 0; c < 9; ++c) columns[c] = splat(c % 4 == 0);
    if (points < LANES) {
        for (int lane = 0; lane < points; ++lane)
            for (int c = 0; c < 9; ++c) columns[c][lane] = rows[stride * lane + c];
        return;
    }
    int c = 0;
    for (; c + LANES <= 9; c += LANES) {
        for (int lane = 0; lane < LANES; ++lane) number[lane] = *(const unaligned_vd *)(rows + stride * lane + c);
        transpose(number);
        for (int k = 0; k < LANES; ++k) columns[c + k] = number[k];
    }
    for (; c < 9; ++c)
        for (int lane = 0; lane < LANES; ++lane) columns[c][lane] = rows[stride * lane + c];
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
static int begin_block(block *at, const law_parameters *law, const double *F, const double *state, int points) {
    const int turned = at->turned = state != 0;
    load(at->F, F, 9, points);
    at->T = splat(0.0);
    if (state) load(at->turn, state, law->state, points);
    for (int lane = 0; law->powers > 1 && lane < points; ++lane) at->T[lane] = state ? state[law->state * lane + 9] : NAN;
    at->theta = law->powers > 1 ? (at->T - law->origin) / law->span : splat(0.0);
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
    if (turned) {
        vd M[6][6], crystal[6];
        action(at->turn, M);
        for (int a = 0; a < 6; ++a) {
            crystal[a] = splat(0.0);
            for (int b = 0; b < 6; ++b) crystal[a] += M[b][a] * e[b];
        }
        for (int a = 0; a < 6; ++a) e[a] = crystal[a];
    }
    return -1;
}

/* sum_k c_k theta^k. */
INLINE vd polynomial(const double *c, int64_t powers, vd theta) {
    vd sum = splat(c[powers - 1]);
    for (int64_t k = powers - 2; k >= 0; --k) sum = sum * theta + c[k];
    return sum;
}

/* Constant, linear and quadratic part in the arguments. */
static void add_quadratic(block *at, const law_parameters *law) {
    const int64_t powers = law->powers;
    const double *linear = section(law, law->linear), *quadratic = section(law, law->quadratic);
    vd energy = at->energy + polynomial(section(law, law->constant), powers, at->theta), bent[ARGUMENTS];
    for (int a = 0; a < ARGUMENTS; ++a) bent[a] = splat(0.0);
    for (int a = 0, k = ARGUMENTS; a < ARGUMENTS; ++a)
        for (int b = a; b < ARGUMENTS; ++b, ++k) {
            const vd q = polynomial(quadratic + (ARGUMENTS * a + b) * powers, powers, at->theta);
            at->sums[k] += q;
            bent[a] += q * at->x[b];
            if (b > a) bent[b] += q * at->x[a];
        }
    for (int a = 0; a < ARGUMENTS; ++a) {
        const vd l = polynomial(linear + a * powers, powers, at->theta);
        energy += at->x[a] * (l + 0.5 * bent[a]);
        at->sums[a] += l + bent[a];
    }
    at->energy = energy;
    for (int lane = 0; law->heat_capacity != 0.0 && lane < LANES; ++lane) {
        const double T = at->T[lane];
        if (T > 0.0) at->energy[lane] -= law->heat_capacity * (T * log(T / law->span) - T);
    }
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

/* trust = min(1, sqrt(q0 / q)), q the leverage of the point: of each column r the stress x'^T sum_g factor_gr y_g - offset_r - slope_r e,
 * squared and summed; y (groups, ARGUMENTS) are the neurons' shares. Outside the temperatures of the data it falls as
 * span / (span + distance). */
static void finish_trust(const block *at, const law_parameters *law, const vd *y, vd G[ARGUMENTS][6], int points, double *trust) {
    const int64_t columns = law->columns, groups = law->groups;
    const double *factor = section(law, law->gauge), *offset = factor + groups * columns, *slope = offset + 6 * columns;
    vd q = splat(0.0);
    for (int64_t r = 0; r < columns; ++r, offset += 6, slope += 36) {
        vd sum[ARGUMENTS];
        for (int m = 0; m < ARGUMENTS; ++m) sum[m] = splat(0.0);
        for (int64_t g = 0; g < groups; ++g) {
            const double share = factor[g * columns + r];
            for (int m = 0; m < ARGUMENTS; ++m) sum[m] += share * y[g * ARGUMENTS + m];
        }
        for (int a = 0; a < 6; ++a) {
            vd s = -splat(offset[a]);
            for (int b = 0; b < 6; ++b) s -= slope[6 * a + b] * at->e[b];
#if THROUGH_ARGUMENTS
            for (int m = 0; m < ARGUMENTS; ++m) s += sum[m] * G[m][a];
#else
            s += sum[a];
#endif
            q += (a < 3 ? 1.0 : 2.0) * s * s;
        }
    }
    for (int lane = 0; lane < points; ++lane) {
        const double T = at->T[lane], away = fmax(fmax(law->lowest - T, T - law->highest), 0.0);
        trust[lane] = (q[lane] > law->border ? sqrt(law->border / q[lane]) : 1.0) * (law->span / (law->span + away));
    }
}

/* From the sums to W, P = F S and A_iJkL = delta_ik S_JL + F_iM F_kN D_MJNL. */
static void finish_block(block *at, const law_parameters *law, const vd *y, int points, double *W, double *P, double *A, double *trust) {
    vd S[6], packed[21], D[6][6], G[ARGUMENTS][6];
    for (int a = 0; a < 6; ++a) S[a] = splat(0.0);
    for (int k = 0; k < 21; ++k) packed[k] = splat(0.0);
    add_quadratic(at, law);
    end_arguments(at, section(law, law->tables), law->rows, G, S, packed);
#if THROUGH_ARGUMENTS
    add_through(G, at->sums, S, packed);
#endif
    if (trust) finish_trust(at, law, y, G, points, trust);
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

int64_t atomlaw_law(int64_t n, const double *F, const double *state, const void *parameters,
                    double *W, double *P, double *A, double *trust) {
    const law_parameters *law = parameters;
    if (memcmp(law->kind, KIND, 8) || law->layout != LAYOUT || law->arguments != ARGUMENTS) return -2;
    const int64_t *begin = (const int64_t *)section(law, law->begin);
    const double *amplitude = section(law, law->amplitude), *images = section(law, law->images);
    /* a law without a gauge does not know */
    for (int64_t point = 0; trust && !law->columns && point < n; ++point) trust[point] = NAN;
    if (!law->columns) trust = 0;
    const int64_t kept = trust ? law->groups * ARGUMENTS : 0;
    block at[BLOCKS];
    vd slope[IMAGES], curvature[IMAGES], y[BLOCKS * kept + 1];
    for (int64_t start = 0; start < n; start += BLOCKS * LANES) {
        const int64_t left = n - start;
        const int blocks = left >= BLOCKS * LANES ? BLOCKS : (int)((left + LANES - 1) / LANES);
        for (int j = 0; j < blocks; ++j) {
            const int64_t point = start + j * LANES;
            const int points = n - point < LANES ? (int)(n - point) : LANES;
            const int bad = begin_block(&at[j], law, F + 9 * point, state ? state + law->state * point : 0, points);
            if (bad >= 0) return point + bad;
            at[j].energy = splat(0.0);
            for (int a = 0; a < ARGUMENTS + TILES * TILE; ++a) at[j].sums[a] = splat(0.0);
            begin_arguments(&at[j], section(law, law->tables), law->rows);
            for (int lane = 0; lane < points; ++lane)
                if (!(at[j].energy[lane] < INFINITY)) return point + lane;
        }
        for (int64_t g = 0; g < law->groups; ++g) {
            for (int j = 0; j < blocks; ++j) {
                at[j].v = polynomial(amplitude + g * law->powers, law->powers, at[j].theta);
                at[j].product = splat(1.0), at[j].rest = splat(0.0);
                for (int a = 0; a < ARGUMENTS; ++a) at[j].neuron[a] = splat(0.0);
            }
            for (int64_t k = begin[g]; k < begin[g + 1]; k += IMAGES) {
                const int count = begin[g + 1] - k < IMAGES ? (int)(begin[g + 1] - k) : IMAGES;
                const double *image = images + RECORD * k;
                /* the same few kilobytes of images serve all blocks from the first-level cache */
                for (int j = 0; j < blocks; ++j) {
                    activate(&at[j], image, count, slope, curvature);
                    if (P || A || trust) accumulate(at[j].neuron, ARGUMENTS, image, 0, count, slope);
                    for (int t = 0; A && t < TILES; ++t)
                        accumulate(at[j].sums + ARGUMENTS + TILE * t, TILE, image, ARGUMENTS + 1 + TILE * t, count, curvature);
                }
            }
            for (int j = 0; j < blocks; ++j) {
                at[j].energy += at[j].v * (at[j].rest + log_of(at[j].product));
                for (int a = 0; a < ARGUMENTS; ++a) at[j].sums[a] += at[j].v * at[j].neuron[a];
                for (int a = 0; trust && a < ARGUMENTS; ++a) y[j * kept + g * ARGUMENTS + a] = at[j].neuron[a];
            }
        }
        for (int j = 0; j < blocks; ++j) {
            const int64_t point = start + j * LANES;
            const int points = n - point < LANES ? (int)(n - point) : LANES;
            finish_block(&at[j], law, y + j * kept, points, W ? W + point : 0, P ? P + 9 * point : 0,
                         A ? A + 81 * point : 0, trust ? trust + point : 0);
        }
    }
    return -1;
}
