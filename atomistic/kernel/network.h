/* Networks of atomic energies (atomistic/network.py) for a batch of atoms, one in each lane.
 *
 * A layer's weights are stored in tiles of OUTPUTS rows, (tile, input, row in tile), once for each direction; the last tile is filled
 * up with zeros. Arrays of activations are as long as whole tiles.
 */

enum { OUTPUTS = 10 };
enum { TANH, SOFTPLUS, LOGISTIC, LINEAR, RADIAL_BASIS };

typedef struct {
    int64_t inputs, outputs;
    int64_t activation;
    const double *forward;  /* (tiles of outputs, inputs, OUTPUTS) */
    const double *backward; /* (tiles of inputs, outputs, OUTPUTS) */
    const double *bias;     /* (whole tiles of outputs) */
} network_layer;

typedef struct {
    int64_t hidden;               /* number of hidden layers */
    const network_layer *layers;  /* (hidden) */
    const double *last;           /* (whole tiles) weights of the output */
    double last_bias;
    const double *skip;           /* (whole tiles of inputs) of the linear term; may be zero */
} atomic_network;

INLINE int64_t whole_tiles(int64_t count) { return (count + OUTPUTS - 1) / OUTPUTS * OUTPUTS; }

/* One tile of W x: sums over `count` inputs of weights (count, OUTPUTS) times x. */
INLINE void tile_product(int64_t count, const double *restrict weights, const vd *restrict x, vd *sums) {
    UNROLL
    for (int k = 0; k < OUTPUTS; ++k) sums[k] = splat(0.0);
    for (int64_t i = 0; i < count; ++i, weights += OUTPUTS) {
        const vd input = x[i];
        UNROLL
        for (int k = 0; k < OUTPUTS; ++k) sums[k] += weights[k] * input;
    }
}

/* |x|^2 / 2 of a layer's inputs where its activation asks for it: radial layers are Gaussians about their weights. */
INLINE vd half_square(const network_layer *layer, const vd *restrict x) {
    vd sum = splat(0.0);
    if (layer->activation == RADIAL_BASIS)
        for (int64_t i = 0; i < layer->inputs; ++i) sum += x[i] * x[i];
    return 0.5 * sum;
}

/* What the inputs' own square takes of their derivatives: minus this times the inputs. */
INLINE vd drawn_to_centres(const network_layer *layer, const vd *restrict pull) {
    vd sum = splat(0.0);
    if (layer->activation == RADIAL_BASIS)
        for (int64_t o = 0; o < layer->outputs; ++o) sum += pull[o];
    return sum;
}

/* h(z) and, in place of z, h'(z). */
INLINE vd activate(int64_t activation, vd *z) {
    const vd x = *z;
    if (activation == RADIAL_BASIS) {
        const vd h = exp_of_minus(choose(x < 0.0, -x, splat(0.0)));
        *z = choose(x > 0.0, splat(0.0), h);
        return h;
    }
    if (activation == TANH) {
        const vd h = tanh_of(x);
        *z = 1.0 - h * h;
        return h;
    }
    if (activation == LINEAR) {
        *z = splat(1.0);
        return x;
    }
    const vd t = exp_of_minus(magnitude(x)), inverse = 1.0 / (1.0 + t);
    const vd sigmoid = choose(x < 0.0, t * inverse, inverse);
    if (activation == LOGISTIC) {
        *z = t * inverse * inverse;
        return sigmoid;
    }
    *z = sigmoid;
    return 0.5 * (x + magnitude(x)) + log_of(1.0 + t);
}

/* Number of vectors that `evaluate_network` needs as workspace. */
static int64_t network_workspace(const atomic_network *network) {
    int64_t count = 0;
    for (int64_t k = 0; k < network->hidden; ++k) count += 3 * whole_tiles(network->layers[k].outputs);
    return count;
}

/* Energies of a batch; its inputs x (whole tiles) are replaced by the derivatives of the energies. */
static vd evaluate_network(const atomic_network *network, int64_t inputs, vd *x, vd *workspace) {
    vd energy = splat(network->last_bias);
    for (int64_t i = 0; i < inputs; ++i) energy += network->skip[i] * x[i];
    const int64_t hidden = network->hidden;
    const vd *from = x;
    vd *free = workspace;
    for (int64_t k = 0; k < hidden; ++k) {
        const network_layer *layer = &network->layers[k];
        const int64_t width = whole_tiles(layer->outputs);
        const vd half = half_square(layer, from);
        vd *value = free, *slope = free + width;
        for (int64_t o = 0; o < width; o += OUTPUTS) {
            vd z[OUTPUTS];
            tile_product(layer->inputs, layer->forward + o * layer->inputs, from, z);
            for (int j = 0; j < OUTPUTS; ++j) {
                z[j] += layer->bias[o + j] - half;
                value[o + j] = activate(layer->activation, &z[j]);
                slope[o + j] = z[j];
            }
        }
        from = value;
        free += 3 * width;
    }
    if (hidden == 0) {
        for (int64_t i = 0; i < inputs; ++i) {
            energy += network->last[i] * x[i];
            x[i] = splat(network->skip[i] + network->last[i]);
        }
        return energy;
    }
    const network_layer *layer = &network->layers[hidden - 1];
    int64_t width = whole_tiles(layer->outputs);
    vd *slope = free - 2 * width, *pull = free - width;
    for (int64_t o = 0; o < width; ++o) {
        energy += network->last[o] * from[o];
        pull[o] = network->last[o] * slope[o];
    }
    for (int64_t k = hidden - 1; k > 0; --k) {
        layer = &network->layers[k];
        const int64_t before = whole_tiles(layer->inputs);
        vd *below = pull - 2 * width - before;
        slope = below - before;
        const vd *value = slope - before;
        const vd drawn = drawn_to_centres(layer, pull);
        for (int64_t i = 0; i < before; i += OUTPUTS) {
            vd sums[OUTPUTS];
            tile_product(layer->outputs, layer->backward + i * layer->outputs, pull, sums);
            UNROLL
            for (int j = 0; j < OUTPUTS; ++j) below[i + j] = (sums[j] - drawn * value[i + j]) * slope[i + j];
        }
        pull = below;
        width = before;
    }
    layer = network->layers;
    const vd drawn = drawn_to_centres(layer, pull);
    for (int64_t i = 0; i < inputs; i += OUTPUTS) {
        vd sums[OUTPUTS];
        tile_product(layer->outputs, layer->backward + i * layer->outputs, pull, sums);
        UNROLL
        for (int j = 0; j < OUTPUTS; ++j) x[i + j] = sums[j] - drawn * x[i + j] + network->skip[i + j];
    }
    return energy;
}
