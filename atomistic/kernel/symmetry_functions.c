/* Energy, forces and virial of networks of symmetry functions (atomistic/symmetry_functions.py).
 *
 * ELEMENTS, CUTOFF (a function of cutoff_functions.h) and INNER_CUTOFF come defined before this text; the functions themselves are data.
 * Pairs j < k of neighbours are taken one j at a time with a vector of k. All functions of two elements with one g(r) form a run, and their
 * angular factors are shared: with b = (1 + lambda cos theta) / 2 a term is 2 b^zeta g(r_ij) g(r_ik) [g(r_jk)]. Terms are functions of
 * r_ij, r_ik, r_jk and cos theta, whose derivatives are collected before the chain rule to vectors.
 */

typedef struct {
    double eta, shift, cutoff;
} radial_shape;

typedef struct {
    int64_t index; /* of the function */
    double factor; /* weight of a neighbour of this element */
    radial_shape shape;
} radial_term;

typedef struct {
    int64_t shape, narrow; /* place among the shapes; whether g(r_jk) is a factor */
    int64_t begin, end;    /* of its terms */
} angular_run;

typedef struct {
    int64_t index, angle;
    double factor; /* twice the weights of the two neighbours */
} angular_term;

typedef struct {
    double zeta, half_lambda;
} angular_power;

/* Functions of neighbours of two elements. */
typedef struct {
    int64_t runs, powers, narrow; /* narrow: number of runs with g(r_jk) */
    const angular_run *run;
    const angular_power *power;
    const angular_term *term;
} element_pair;

/* Functions of an atom of one element. */
typedef struct {
    int64_t functions, shapes;
    double inner;                /* largest cutoff of the angular ones */
    const radial_shape *shape;   /* (shapes) of the angular functions */
    const int64_t *radial_begin; /* (ELEMENTS + 1) terms of each element of neighbours */
    const radial_term *radial;
    const element_pair *pairs;   /* (ELEMENTS, ELEMENTS), first <= second */
} centre;

typedef struct {
    double cutoff;
    int64_t most_functions, most_shapes, most_powers, most_terms; /* of any centre, of any pair */
    const centre *centres; /* (ELEMENTS) */
    const atomic_network *networks;
} symmetry_functions_model;

/* g(r) = exp(-eta (r - r_s)^2) f_c(r) and its slope. */
INLINE vd shape_of(const radial_shape *shape, vd r, vd *slope) {
    const double stretch = 1.0 / (1.0 - INNER_CUTOFF);
    vd x = (r * (1.0 / shape->cutoff) - INNER_CUTOFF) * stretch;
    x = choose(x < 1.0, x, splat(1.0));
    x = choose(x > 0.0, x, splat(0.0));
    vd steep;
    const vd envelope = CUTOFF(x, &steep), away = r - shape->shift;
    const vd bell = exp_of_minus(shape->eta * away * away);
    *slope = bell * (steep * (stretch / shape->cutoff) - 2.0 * shape->eta * away * envelope);
    return bell * envelope;
}

/* b^zeta and its slope by b; b may lie below zero by round-off. */
INLINE vd power_of(vd b, double zeta, vd *slope) {
    const int64_t whole = (int64_t)zeta;
    vd lower;
    if ((double)whole == zeta && whole <= 256) {
        vd square = b;
        lower = splat(1.0);
        for (int64_t left = whole - 1; left; left >>= 1) {
            if (left & 1) lower *= square;
            square *= square;
        }
    } else {
        b = choose(b > 1e-300, b, splat(1e-300));
        const vd logarithm = log_of(b);
        lower = exp_of_minus(magnitude((zeta - 1.0) * choose(logarithm < 0.0, logarithm, splat(0.0))));
    }
    *slope = zeta * lower;
    return lower * b;
}

/* Functions of the distances of neighbours within the inner cutoff, for the angular terms. */
typedef struct {
    int64_t vectors, offset[ELEMENTS];
    vd *g, *slope;   /* (shapes, vectors) */
    vd *gradient[3]; /* (vectors) */
    vd *power, *power_slope;
    vd *sums;        /* (functions) */
    double *weights; /* (terms) */
} angular_workspace;

static angular_workspace lay_out(const symmetry_functions_model *model, const environment *at, vd *workspace) {
    angular_workspace to = {.vectors = 0};
    for (int element = 0; element < ELEMENTS; ++element) {
        to.offset[element] = to.vectors;
        to.vectors += at->inner[element];
    }
    to.sums = workspace;
    to.power = to.sums + model->most_functions;
    to.power_slope = to.power + model->most_powers;
    to.weights = (double *)(to.power_slope + model->most_powers);
    to.g = to.power_slope + model->most_powers + VECTORS(model->most_terms);
    to.slope = to.g + model->most_shapes * to.vectors;
    for (int a = 0; a < 3; ++a) to.gradient[a] = to.slope + (model->most_shapes + a) * to.vectors;
    return to;
}

static void find_shapes(const centre *own, const environment *at, const angular_workspace *to) {
    for (int element = 0; element < ELEMENTS; ++element)
        for (int64_t v = 0; v < at->inner[element]; ++v) {
            const vd r = vectors_of(at->r, at->begin[element] + v);
            for (int64_t s = 0; s < own->shapes; ++s) {
                const int64_t place = s * to->vectors + to->offset[element] + v;
                to->g[place] = shape_of(&own->shape[s], r, &to->slope[place]);
            }
        }
}

INLINE int none_below(vd x, double limit) {
    const vi below = x < limit;
    int64_t any = 0;
    for (int lane = 0; lane < LANES; ++lane) any |= below[lane];
    return !any;
}

/* All pairs of neighbours of two elements: values are added to `sums`, or, where `forces` is set, derivatives to `gradient`. */
INLINE void over_pairs(const centre *own, const element_pair *pair, const environment *at, int first, int second,
                       const angular_workspace *work, int forces) {
    const vi places = {0, 1,
#if LANES > 2
                       2, 3,
#endif
#if LANES > 4
                       4, 5, 6, 7
#endif
    };
    const int64_t begin = at->begin[first] * LANES, count = at->inner[first] * LANES;
    for (int64_t n = 0; n < count; ++n) {
        const int64_t j = begin + n;
        const double rj = at->r[j], inverse_j = at->inverse[j];
        if (rj >= own->inner) continue;
        const vd uj[3] = {splat(at->x[j]), splat(at->y[j]), splat(at->z[j])};
        const int64_t own_place = work->offset[first] * LANES + n;
        vd along = splat(0.0), across[3] = {splat(0.0), splat(0.0), splat(0.0)};
        for (int64_t v = first == second ? n / LANES : 0; v < at->inner[second]; ++v) {
            const int64_t k = at->begin[second] + v, place = work->offset[second] + v;
            const vd uk[3] = {vectors_of(at->x, k), vectors_of(at->y, k), vectors_of(at->z, k)}, rk = vectors_of(at->r, k);
            const vd cosine = uj[0] * uk[0] + uj[1] * uk[1] + uj[2] * uk[2];
            vd apart[3], opposite = splat(1.0);
            if (pair->narrow) {
                for (int a = 0; a < 3; ++a) apart[a] = rk * uk[a] - rj * uj[a];
                opposite = apart[0] * apart[0] + apart[1] * apart[1] + apart[2] * apart[2];
                if (pair->narrow == pair->runs && none_below(opposite, own->inner * own->inner)) continue;
                /* idle neighbours lie on top of each other */
                opposite = sqrt_of(choose(opposite > 1e-4, opposite, splat(1e-4)));
            }
            vd once = splat(1.0);
            if (first == second && v == n / LANES) once = choose(places > n % LANES, once, splat(0.0));
            for (int64_t a = 0; a < pair->powers; ++a)
                work->power[a] = power_of(0.5 + pair->power[a].half_lambda * cosine, pair->power[a].zeta, &work->power_slope[a]);
            vd by_cosine = splat(0.0), by_rj = splat(0.0), by_rk = splat(0.0), by_opposite = splat(0.0);
            for (int64_t n_run = 0; n_run < pair->runs; ++n_run) {
                const angular_run *run = &pair->run[n_run];
                const double *g = (const double *)(work->g + run->shape * work->vectors) + own_place;
                const vd gk = work->g[run->shape * work->vectors + place];
                vd h = once, h_slope = splat(0.0);
                if (run->narrow) {
                    h = once * shape_of(&own->shape[run->shape], opposite, &h_slope);
                    h_slope *= once;
                }
                const vd both = *g * gk, product = both * h;
                if (!forces) {
                    for (int64_t t = run->begin; t < run->end; ++t) {
                        const angular_term *term = &pair->term[t];
                        work->sums[term->index] += term->factor * (product * work->power[term->angle]);
                    }
                    continue;
                }
                vd value = splat(0.0), slope = splat(0.0);
                for (int64_t t = run->begin; t < run->end; ++t) {
                    const int64_t angle = pair->term[t].angle;
                    value += work->weights[t] * work->power[angle];
                    slope += work->weights[t] * work->power_slope[angle] * pair->power[angle].half_lambda;
                }
                const double slope_j = ((const double *)(work->slope + run->shape * work->vectors))[own_place];
                by_cosine += slope * product;
                by_rj += value * h * gk * slope_j;
                by_rk += value * h * *g * work->slope[run->shape * work->vectors + place];
                by_opposite += value * both * h_slope;
            }
            if (!forces) continue;
            const vd at_j = by_cosine * inverse_j, at_k = by_cosine * vectors_of(at->inverse, k);
            along += by_rj - cosine * at_j;
            const vd along_k = by_rk - cosine * at_k;
            for (int a = 0; a < 3; ++a) {
                across[a] += uk[a] * at_j;
                work->gradient[a][place] += uk[a] * along_k + uj[a] * at_k;
            }
            if (pair->narrow) {
                const vd pull = by_opposite / opposite;
                for (int a = 0; a < 3; ++a) {
                    across[a] -= apart[a] * pull;
                    work->gradient[a][place] += apart[a] * pull;
                }
            }
        }
        if (forces)
            for (int a = 0; a < 3; ++a)
                ((double *)work->gradient[a])[own_place] += sum_of_lanes(along * uj[a] + across[a]);
    }
}

static int64_t inputs_of(const symmetry_functions_model *model, int element) { return model->centres[element].functions; }

static double inner_cutoff(const symmetry_functions_model *model, int element) { return model->centres[element].inner; }

static int64_t vectors_kept(const symmetry_functions_model *model) {
    (void)model;
    return 0;
}

static int64_t workspace_vectors(const symmetry_functions_model *model, int64_t capacity) {
    return model->most_functions + 2 * model->most_powers + VECTORS(model->most_terms)
           + (2 * model->most_shapes + 3) * VECTORS(capacity);
}

static void find_descriptors(const symmetry_functions_model *model, int element, occupant *one, vd *workspace, double *lane) {
    const centre *own = &model->centres[element];
    const environment *at = &one->at;
    const angular_workspace work = lay_out(model, at, workspace);
    for (int64_t f = 0; f < own->functions; ++f) work.sums[f] = splat(0.0);
    for (int other = 0; other < ELEMENTS; ++other)
        for (int64_t k = at->begin[other]; k < at->begin[other + 1]; ++k)
            for (int64_t t = own->radial_begin[other]; t < own->radial_begin[other + 1]; ++t) {
                vd slope;
                const vd g = shape_of(&own->radial[t].shape, vectors_of(at->r, k), &slope);
                work.sums[own->radial[t].index] += own->radial[t].factor * g;
            }
    find_shapes(own, at, &work);
    for (int first = 0; first < ELEMENTS; ++first)
        for (int second = first; second < ELEMENTS; ++second)
            over_pairs(own, &own->pairs[first * ELEMENTS + second], at, first, second, &work, 0);
    for (int64_t f = 0; f < own->functions; ++f) lane[f * LANES] = sum_of_lanes(work.sums[f]);
}

static void add_atom_forces(const symmetry_functions_model *model, int element, occupant *one, const double *lane, vd *workspace,
                            sums_of_forces *sums) {
    const centre *own = &model->centres[element];
    const environment *at = &one->at;
    const angular_workspace work = lay_out(model, at, workspace);
    for (int64_t v = 0; v < work.vectors; ++v)
        for (int a = 0; a < 3; ++a) work.gradient[a][v] = splat(0.0);
    find_shapes(own, at, &work);
    for (int first = 0; first < ELEMENTS; ++first)
        for (int second = first; second < ELEMENTS; ++second) {
            const element_pair *pair = &own->pairs[first * ELEMENTS + second];
            for (int64_t n_run = 0; n_run < pair->runs; ++n_run)
                for (int64_t t = pair->run[n_run].begin; t < pair->run[n_run].end; ++t)
                    work.weights[t] = pair->term[t].factor * lane[pair->term[t].index * LANES];
            over_pairs(own, pair, at, first, second, &work, 1);
        }
    vd whole[3] = {splat(0.0), splat(0.0), splat(0.0)};
    for (int other = 0; other < ELEMENTS; ++other)
        for (int64_t k = at->begin[other]; k < at->begin[other + 1]; ++k) {
            const vd r = vectors_of(at->r, k), u[3] = {vectors_of(at->x, k), vectors_of(at->y, k), vectors_of(at->z, k)};
            vd radial = splat(0.0), gradient[3];
            for (int64_t t = own->radial_begin[other]; t < own->radial_begin[other + 1]; ++t) {
                vd slope;
                shape_of(&own->radial[t].shape, r, &slope);
                radial += own->radial[t].factor * lane[own->radial[t].index * LANES] * slope;
            }
            const int64_t v = k - at->begin[other];
            for (int a = 0; a < 3; ++a) {
                gradient[a] = radial * u[a];
                if (v < at->inner[other]) gradient[a] += work.gradient[a][work.offset[other] + v];
            }
            add_forces(at, k, gradient, whole, sums);
        }
    for (int a = 0; a < 3; ++a) sums->forces[3 * one->atom + a] += sum_of_lanes(whole[a]);
}
