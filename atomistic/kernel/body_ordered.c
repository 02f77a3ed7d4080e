/* Energy, forces and virial of networks of body-ordered descriptors (atomistic/body_ordered.py).
 *
 * Dimensions and the four-body polynomials come generated, before this text (atomistic/kernel/body_ordered.py):
 *
 *     ELEMENTS, RADIAL, ANGULAR, DEGREE, CHANNELS (0 for one an element and Chebyshev function), CUTOFF (a function of cutoff_functions.h),
 *     TRIPLES, BLOCK_PAIRS and PAIRS (products of channels in equal places of blocks), or BLOCK_PAIRS 0 for all products of two channels;
 *     NORMS, four_body(a, b), four_body_gradient(a, w, d).
 *
 * As many atoms as a vector has lanes travel together. Functions of a distance are computed for a vector of neighbours, one a lane;
 * moments are added up with one Chebyshev function a lane, so that there is nothing to add across lanes; the network has one atom a lane.
 * What belongs to one atom stays in the first-level cache. The harmonics are q_lm(z) times C_m or S_m of (x + iy)^m with q_mm = 1:
 * their normalisation NORM is applied to moments. Derivatives: dq_lm/dz = (2m + 1) q_{l,m+1}, dC_m = m (C_{m-1}, -S_{m-1}).
 *
 * No global state; comparisons with NaN are used (no -ffast-math).
 */

enum {
    COMPONENTS = (DEGREE + 1) * (DEGREE + 1) - 1,
    /* functions and channels are filled up to multiples of BLOCK, whatever the length of a vector */
    BLOCK = 8,
    PER_BLOCK = BLOCK / LANES,
    RADIAL_VECTORS = (RADIAL + BLOCK - 1) / BLOCK * PER_BLOCK,
    ANGULAR_VECTORS = (ANGULAR + BLOCK - 1) / BLOCK * PER_BLOCK,
    MOMENT_VECTORS = ELEMENTS * ANGULAR_VECTORS,
    CHANNEL_VECTORS = CHANNELS ? (CHANNELS + BLOCK - 1) / BLOCK * PER_BLOCK : MOMENT_VECTORS,
    PADDED_CHANNELS = CHANNEL_VECTORS * LANES,
    THREE_BODY = BLOCK_PAIRS ? BLOCK_PAIRS * DEGREE * BLOCK : DEGREE * PADDED_CHANNELS * PADDED_CHANNELS,
    FOUR_BODY = CHANNEL_VECTORS * TRIPLES * LANES,
    /* R (element, function), p (block pair, vector, degree, lane) or (degree, channel, channel), b (channel vector, triple, lane) */
    DESCRIPTORS = ELEMENTS * RADIAL_VECTORS * LANES + THREE_BODY + FOUR_BODY
};

typedef struct {
    double cutoff, angular_cutoff;
    int64_t inputs;                 /* number of descriptors */
    const int32_t *source;          /* (inputs) where each stands among DESCRIPTORS */
    const atomic_network *networks; /* (ELEMENTS) */
    const double *mix;              /* (ELEMENTS * ANGULAR_VECTORS * LANES, PADDED_CHANNELS), moments to channels; or NULL */
    const double *transposed_mix;   /* (CHANNELS, ELEMENTS * ANGULAR_VECTORS * LANES) */
} body_ordered_model;

/* Chebyshev T_k(2 r / r_c - 1) of a vector of distances, the cutoff function and its slope by r. */
INLINE vd chebyshev_argument(vd r, double cutoff, vd *envelope, vd *slope) {
    vd scaled = r * (1.0 / cutoff);
    scaled = choose(scaled < 1.0, scaled, splat(1.0));
    vd by_scaled;
    *envelope = CUTOFF(scaled, &by_scaled);
    *slope = by_scaled * (1.0 / cutoff);
    return 2.0 * scaled - 1.0;
}

/* q_lm(z) at q[l][m], C_m, S_m of unit vectors. */
typedef struct {
    vd q[DEGREE + 1][DEGREE + 2], c[DEGREE + 1], s[DEGREE + 1];
} harmonics;

INLINE void find_harmonics(vd x, vd y, vd z, harmonics *h) {
    h->c[0] = splat(1.0);
    h->s[0] = splat(0.0);
    UNROLL
    for (int m = 0; m < DEGREE; ++m) {
        h->c[m + 1] = x * h->c[m] - y * h->s[m];
        h->s[m + 1] = x * h->s[m] + y * h->c[m];
    }
    UNROLL
    for (int m = 0; m <= DEGREE; ++m) {
        h->q[m][m] = splat(1.0);
        if (m < DEGREE) h->q[m + 1][m] = (2 * m + 1) * z;
        UNROLL
        for (int l = m + 2; l <= DEGREE; ++l)
            h->q[l][m] = ((2 * l - 1.0) / (l - m)) * z * h->q[l - 1][m] - ((l + m - 1.0) / (l - m)) * h->q[l - 2][m];
    }
}

#define COMPONENT(l, m) ((l) * (l) + (l) + (m) - 1)

INLINE void values_of(const harmonics *h, vd *value) {
    UNROLL
    for (int l = 1; l <= DEGREE; ++l) {
        value[COMPONENT(l, 0)] = h->q[l][0];
        UNROLL
        for (int m = 1; m <= l; ++m) {
            value[COMPONENT(l, m)] = m == l ? h->c[m] : h->q[l][m] * h->c[m];
            value[COMPONENT(l, -m)] = m == l ? h->s[m] : h->q[l][m] * h->s[m];
        }
    }
}

/* Gradient of sum_lm a_lm Y_lm(x, y, z) as a function of three free variables. */
INLINE void gradient_of(const harmonics *h, const vd *a, vd *gradient) {
    vd gx = splat(0.0), gy = splat(0.0), gz = splat(0.0);
    UNROLL
    for (int m = 0; m <= DEGREE; ++m) {
        vd even = splat(0.0), odd = splat(0.0), even_z = splat(0.0), odd_z = splat(0.0);
        UNROLL
        for (int l = m ? m : 1; l <= DEGREE; ++l) {
            const vd plus = a[COMPONENT(l, m)], minus = a[COMPONENT(l, -m)];
            if (m) {
                even += l == m ? plus : h->q[l][m] * plus;
                odd += l == m ? minus : h->q[l][m] * minus;
            }
            if (l > m) {
                even_z += l == m + 1 ? plus : h->q[l][m + 1] * plus;
                if (m) odd_z += l == m + 1 ? minus : h->q[l][m + 1] * minus;
            }
        }
        if (m) {
            gx += m * (even * h->c[m - 1] + odd * h->s[m - 1]);
            gy += m * (odd * h->c[m - 1] - even * h->s[m - 1]);
        }
        gz += (2 * m + 1) * (m ? even_z * h->c[m] + odd_z * h->s[m] : even_z);
    }
    gradient[0] = gx;
    gradient[1] = gy;
    gradient[2] = gz;
}

/* R_ak: one sum a Chebyshev function, over the vectors of each element's neighbours. */
static void find_two_body(const environment *at, double cutoff, double *two_body) {
    for (int element = 0; element < ELEMENTS; ++element) {
        vd sums[RADIAL_VECTORS * LANES];
        UNROLL
        for (int k = 0; k < RADIAL_VECTORS * LANES; ++k) sums[k] = splat(0.0);
        for (int64_t v = at->begin[element]; v < at->begin[element + 1]; ++v) {
            vd envelope, slope;
            const vd x = chebyshev_argument(vectors_of(at->r, v), cutoff, &envelope, &slope), twice = 2.0 * x;
            /* the recursion is linear: it may run on f_c T_k */
            vd before = envelope, now = x * envelope;
            sums[0] += before;
            UNROLL
            for (int k = 1; k < RADIAL; ++k) {
                sums[k] += now;
                const vd next = twice * now - before;
                before = now;
                now = next;
            }
        }
        for (int k = 0; k < RADIAL_VECTORS; ++k) {
            transpose(sums + k * LANES);
            vd sum = splat(0.0);
            UNROLL
            for (int lane = 0; lane < LANES; ++lane) sum += sums[k * LANES + lane];
            ((vd *)two_body)[element * RADIAL_VECTORS + k] = sum;
        }
    }
}

/* M_ak,lm, Chebyshev functions along lanes: (element, vector of functions, component). */
static void find_moments(const environment *at, double cutoff, vd *workspace, vd *moments) {
    static const double NORM[COMPONENTS] = NORMS;
    for (int element = 0; element < ELEMENTS; ++element) {
        const int64_t count = at->inner[element];
        /* harmonics (vector of neighbours, component); functions (vector of functions, neighbour) */
        vd *Y = workspace, *functions = workspace + count * COMPONENTS;
        for (int64_t v = 0; v < count; ++v) {
            const int64_t k = at->begin[element] + v;
            harmonics h;
            find_harmonics(vectors_of(at->x, k), vectors_of(at->y, k), vectors_of(at->z, k), &h);
            values_of(&h, Y + v * COMPONENTS);
            vd envelope, slope, g[ANGULAR_VECTORS * LANES];
            const vd x = chebyshev_argument(vectors_of(at->r, k), cutoff, &envelope, &slope), twice = 2.0 * x;
            vd before = envelope, now = x * envelope;
            g[0] = before;
            UNROLL
            for (int n = 1; n < ANGULAR_VECTORS * LANES; ++n) {
                g[n] = n < ANGULAR ? now : splat(0.0);
                const vd next = twice * now - before;
                before = now;
                now = next;
            }
            for (int n = 0; n < ANGULAR_VECTORS; ++n) {
                transpose(g + n * LANES);
                UNROLL
                for (int lane = 0; lane < LANES; ++lane) functions[(n * count + v) * LANES + lane] = g[n * LANES + lane];
            }
        }
        for (int n = 0; n < ANGULAR_VECTORS; ++n) {
            vd sums[COMPONENTS];
            UNROLL
            for (int c = 0; c < COMPONENTS; ++c) sums[c] = splat(0.0);
            const vd *g = functions + n * count * LANES;
            for (int64_t v = 0; v < count; ++v) {
                const double *y = (const double *)(Y + v * COMPONENTS);
                for (int lane = 0; lane < LANES; ++lane, ++g, ++y) {
                    const vd function = *g;
                    UNROLL
                    for (int c = 0; c < COMPONENTS; ++c) sums[c] += function * y[c * LANES];
                }
            }
            vd *to = moments + (element * ANGULAR_VECTORS + n) * COMPONENTS;
            UNROLL
            for (int c = 0; c < COMPONENTS; ++c) to[c] = NORM[c] * sums[c];
        }
    }
}

/* out (vectors_out, components) = matrix^T in, in (vectors_in * LANES rows along lanes, components). */
INLINE void mix_channels(const double *matrix, int rows, int vectors_out, const vd *in, vd *out) {
    for (int n = 0; n < vectors_out; ++n) {
        vd sums[COMPONENTS];
        UNROLL
        for (int c = 0; c < COMPONENTS; ++c) sums[c] = splat(0.0);
        for (int row = 0; row < rows; ++row) {
            const vd weight = ((const unaligned_vd *)matrix)[row * vectors_out + n];
            const double *from = (const double *)(in + row / LANES * COMPONENTS) + row % LANES;
            UNROLL
            for (int c = 0; c < COMPONENTS; ++c) sums[c] += weight * from[c * LANES];
        }
        UNROLL
        for (int c = 0; c < COMPONENTS; ++c) out[n * COMPONENTS + c] = sums[c];
    }
}

#if BLOCK_PAIRS
INLINE int vector_of_pair(int pair, int end) {
    static const int pairs[BLOCK_PAIRS][2] = PAIRS;
    return pairs[pair / PER_BLOCK][end] * PER_BLOCK + pair % PER_BLOCK;
}
#endif

static void find_invariants(const vd *A, double *three_body, double *four_body_values) {
    vd *p = (vd *)three_body;
#if BLOCK_PAIRS
    for (int pair = 0; pair < BLOCK_PAIRS * PER_BLOCK; ++pair) {
        const vd *first = A + vector_of_pair(pair, 0) * COMPONENTS, *second = A + vector_of_pair(pair, 1) * COMPONENTS;
        UNROLL
        for (int l = 1; l <= DEGREE; ++l) {
            vd sum = splat(0.0);
            UNROLL
            for (int c = l * l - 1; c < l * (l + 2); ++c) sum += first[c] * second[c];
            *p++ = sum;
        }
    }
#else
    for (int l = 1; l <= DEGREE; ++l)
        for (int n = 0; n < PADDED_CHANNELS; ++n) {
            const double *first = (const double *)(A + n / LANES * COMPONENTS) + n % LANES;
            for (int v = 0; v < CHANNEL_VECTORS; ++v) {
                vd sum = splat(0.0);
                for (int c = l * l - 1; c < l * (l + 2); ++c) sum += first[c * LANES] * A[v * COMPONENTS + c];
                *p++ = sum;
            }
        }
#endif
    for (int v = 0; v < CHANNEL_VECTORS; ++v) four_body(A + v * COMPONENTS, (vd *)four_body_values + v * TRIPLES);
}

/* dE/dA from dE/dp and dE/db. */
static void pull_back_invariants(const vd *A, const double *three_body, const double *four_body_values, vd *pull) {
    for (int c = 0; c < CHANNEL_VECTORS * COMPONENTS; ++c) pull[c] = splat(0.0);
    const vd *w = (const vd *)three_body;
#if BLOCK_PAIRS
    for (int pair = 0; pair < BLOCK_PAIRS * PER_BLOCK; ++pair) {
        const int first = vector_of_pair(pair, 0) * COMPONENTS, second = vector_of_pair(pair, 1) * COMPONENTS;
        UNROLL
        for (int l = 1; l <= DEGREE; ++l, ++w) {
            const vd weight = *w;
            UNROLL
            for (int c = l * l - 1; c < l * (l + 2); ++c) pull[first + c] += weight * A[second + c];
            UNROLL
            for (int c = l * l - 1; c < l * (l + 2); ++c) pull[second + c] += weight * A[first + c];
        }
    }
#else
    const double *weights = three_body;
    for (int l = 1; l <= DEGREE; ++l, weights += PADDED_CHANNELS * PADDED_CHANNELS)
        for (int v = 0; v < CHANNEL_VECTORS; ++v)
            for (int n = 0; n < PADDED_CHANNELS; ++n) {
                vd weight = ((const vd *)weights)[n * CHANNEL_VECTORS + v];
                for (int lane = 0; lane < LANES; ++lane) weight[lane] += weights[(v * LANES + lane) * PADDED_CHANNELS + n];
                const double *first = (const double *)(A + n / LANES * COMPONENTS) + n % LANES;
                for (int c = l * l - 1; c < l * (l + 2); ++c) pull[v * COMPONENTS + c] += weight * first[c * LANES];
            }
    (void)w;
#endif
    for (int v = 0; v < CHANNEL_VECTORS; ++v)
        four_body_gradient(A + v * COMPONENTS, (const vd *)four_body_values + v * TRIPLES, pull + v * COMPONENTS);
}

/* Coefficients of the derivative of a Chebyshev series: sum_k w_k T_k' = sum_k d_k T_k, d_k = d_{k+2} + 2 (k + 1) w_{k+1}. */
INLINE void differentiate(int count, const double *w, double *d) {
    double next = 0.0, second = 0.0;
    for (int k = count - 1; k >= 0; --k) {
        d[k] = k + 1 < count ? second + 2.0 * (k + 1) * w[k + 1] : 0.0;
        second = next;
        next = d[k];
    }
    d[0] *= 0.5;
}

static int64_t inputs_of(const body_ordered_model *model, int element) {
    (void)element;
    return model->inputs;
}

static double inner_cutoff(const body_ordered_model *model, int element) {
    (void)element;
    return model->angular_cutoff;
}

/* What is kept of an atom: channels (CHANNEL_VECTORS, COMPONENTS), then DESCRIPTORS and their derivatives later. */
static int64_t vectors_kept(const body_ordered_model *model) {
    (void)model;
    return CHANNEL_VECTORS * COMPONENTS + DESCRIPTORS / LANES;
}

static int64_t workspace_vectors(const body_ordered_model *model, int64_t capacity) {
    (void)model;
    const int64_t neighbours = VECTORS(capacity) * COMPONENTS + ANGULAR_VECTORS * capacity;
    const int64_t pulls = CHANNEL_VECTORS * COMPONENTS;
    return MOMENT_VECTORS * COMPONENTS + (neighbours > pulls ? neighbours : pulls);
}

static void find_descriptors(const body_ordered_model *model, int element, occupant *one, vd *workspace, double *lane) {
    (void)element;
    vd *channels = one->kept, *moments = CHANNELS ? workspace : channels;
    double *two_body = (double *)(channels + CHANNEL_VECTORS * COMPONENTS);
    double *three_body = two_body + ELEMENTS * RADIAL_VECTORS * LANES;
    find_two_body(&one->at, model->cutoff, two_body);
    find_moments(&one->at, model->angular_cutoff, workspace + MOMENT_VECTORS * COMPONENTS, moments);
    if (CHANNELS) mix_channels(model->mix, MOMENT_VECTORS * LANES, CHANNEL_VECTORS, moments, channels);
    find_invariants(channels, three_body, three_body + THREE_BODY);
    for (int64_t k = 0; k < model->inputs; ++k) lane[k * LANES] = two_body[model->source[k]];
}

static void add_atom_forces(const body_ordered_model *model, int element_of_atom, occupant *one, const double *lane, vd *workspace,
                            sums_of_forces *sums) {
    (void)element_of_atom;
    static const double NORM[COMPONENTS] = NORMS;
    const environment *at = &one->at;
    double *two_body = (double *)(one->kept + CHANNEL_VECTORS * COMPONENTS);
    const double *three_body = two_body + ELEMENTS * RADIAL_VECTORS * LANES;
    memset(two_body, 0, DESCRIPTORS * sizeof(double));
    for (int64_t n = 0; n < model->inputs; ++n) two_body[model->source[n]] += lane[n * LANES];
    vd *mixed = workspace, *pull = workspace + MOMENT_VECTORS * COMPONENTS;
    pull_back_invariants(one->kept, three_body, three_body + THREE_BODY, pull);
    if (CHANNELS) {
        mix_channels(model->transposed_mix, CHANNELS, MOMENT_VECTORS, pull, mixed);
        pull = mixed;
    }
    for (int v = 0; v < MOMENT_VECTORS; ++v)
        for (int c = 0; c < COMPONENTS; ++c) pull[v * COMPONENTS + c] *= NORM[c];

    vd own[3] = {splat(0.0), splat(0.0), splat(0.0)};
    for (int element = 0; element < ELEMENTS; ++element) {
        const double *w = two_body + element * RADIAL_VECTORS * LANES;
        double derived[RADIAL];
        differentiate(RADIAL, w, derived);
        for (int64_t k = at->begin[element]; k < at->begin[element + 1]; ++k) {
            const vd r = vectors_of(at->r, k), u[3] = {vectors_of(at->x, k), vectors_of(at->y, k), vectors_of(at->z, k)};
            vd envelope, slope;
            vd x = chebyshev_argument(r, model->cutoff, &envelope, &slope), twice = 2.0 * x;
            vd before = splat(1.0), now = x, value = splat(w[0]), derivative = splat(derived[0]);
            UNROLL
            for (int n = 1; n < RADIAL; ++n) {
                value += w[n] * now;
                derivative += derived[n] * now;
                const vd next = twice * now - before;
                before = now;
                now = next;
            }
            vd radial = slope * value + (2.0 / model->cutoff) * envelope * derivative;
            vd gradient[3];
            if (k - at->begin[element] < at->inner[element]) {
                harmonics h;
                find_harmonics(u[0], u[1], u[2], &h);
                vd Y[COMPONENTS], a[COMPONENTS];
                values_of(&h, Y);
                x = chebyshev_argument(r, model->angular_cutoff, &envelope, &slope);
                twice = 2.0 * x;
                const vd steep = (2.0 / model->angular_cutoff) * envelope;
                /* T_k and T_k' go on from chunk to chunk */
                vd T = splat(1.0), T_next = x, D = splat(0.0), D_next = splat(1.0);
                UNROLL
                for (int chunk = 0; chunk < ANGULAR_VECTORS; ++chunk) {
                    const double *d = (const double *)(pull + (element * ANGULAR_VECTORS + chunk) * COMPONENTS);
                    vd g[LANES], t[LANES];
                    const int count = chunk + 1 < ANGULAR_VECTORS ? LANES : ANGULAR - (ANGULAR_VECTORS - 1) * LANES;
                    vd steepness[LANES];
                    UNROLL
                    for (int n = 0; n < count; ++n) {
                        g[n] = T * envelope;
                        steepness[n] = T * slope + D * steep;
                        t[n] = splat(0.0);
                        const vd T_new = twice * T_next - T, D_new = 2.0 * T_next + twice * D_next - D;
                        T = T_next, T_next = T_new, D = D_next, D_next = D_new;
                    }
                    UNROLL
                    for (int c = 0; c < COMPONENTS; ++c, d += LANES) {
                        const vd y = Y[c];
                        vd sum = chunk ? a[c] : splat(0.0);
                        UNROLL
                        for (int n = 0; n < count; ++n) {
                            sum += d[n] * g[n];
                            t[n] += d[n] * y;
                        }
                        a[c] = sum;
                    }
                    UNROLL
                    for (int n = 0; n < count; ++n) radial += t[n] * steepness[n];
                }
                gradient_of(&h, a, gradient);
                const vd inverse = vectors_of(at->inverse, k);
                radial -= inverse * (u[0] * gradient[0] + u[1] * gradient[1] + u[2] * gradient[2]);
                for (int i = 0; i < 3; ++i) gradient[i] = radial * u[i] + inverse * gradient[i];
            } else {
                for (int i = 0; i < 3; ++i) gradient[i] = radial * u[i];
            }
            add_forces(at, k, gradient, own, sums);
        }
    }
    for (int i = 0; i < 3; ++i) sums->forces[3 * one->atom + i] += sum_of_lanes(own[i]);
}

int64_t body_ordered_lanes(void) { return LANES; }
