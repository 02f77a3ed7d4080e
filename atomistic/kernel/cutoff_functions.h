/* Cutoff functions f_c(x) for 0 <= x <= 1 (atomistic/cutoff_functions.py) and their slopes. */

/* cos(pi x) and pi sin(pi x) for 0 <= x <= 1: Taylor series of sine and cosine of pi (x - 1/2). */
INLINE vd cosine_of_half_turn(vd x, vd *pi_sine) {
    const vd t = (x - 0.5) * 0x1.921fb54442d18p1, s = t * t;
    vd sine = splat(-1.0 / 25852016738884976640000.0), cosine = splat(1.0 / 1124000727777607680000.0);
    sine = sine * s + 1.0 / 51090942171709440000.0;
    sine = sine * s - 1.0 / 121645100408832000.0;
    sine = sine * s + 1.0 / 355687428096000.0;
    sine = sine * s - 1.0 / 1307674368000.0;
    sine = sine * s + 1.0 / 6227020800.0;
    sine = sine * s - 1.0 / 39916800.0;
    sine = sine * s + 1.0 / 362880.0;
    sine = sine * s - 1.0 / 5040.0;
    sine = sine * s + 1.0 / 120.0;
    sine = sine * s - 1.0 / 6.0;
    sine = sine * s + 1.0;
    cosine = -cosine;
    cosine = cosine * s + 1.0 / 2432902008176640000.0;
    cosine = cosine * s - 1.0 / 6402373705728000.0;
    cosine = cosine * s + 1.0 / 20922789888000.0;
    cosine = cosine * s - 1.0 / 87178291200.0;
    cosine = cosine * s + 1.0 / 479001600.0;
    cosine = cosine * s - 1.0 / 3628800.0;
    cosine = cosine * s + 1.0 / 40320.0;
    cosine = cosine * s - 1.0 / 720.0;
    cosine = cosine * s + 1.0 / 24.0;
    cosine = cosine * s - 0.5;
    cosine = cosine * s + 1.0;
    *pi_sine = 0x1.921fb54442d18p1 * cosine;
    return -t * sine;
}

INLINE vd cosine_cutoff(vd x, vd *slope) {
    vd pi_sine;
    const vd cosine = cosine_of_half_turn(x, &pi_sine);
    *slope = -0.5 * pi_sine;
    return 0.5 * (cosine + 1.0);
}

INLINE vd tanh3_cutoff(vd x, vd *slope) {
    const vd t = tanh_of(1.0 - x);
    *slope = -3.0 * t * t * (1.0 - t * t);
    return t * t * t;
}

INLINE vd normalised_tanh3_cutoff(vd x, vd *slope) {
    const double scale = 1.0 / 0.44174415173115263802; /* tanh^3(1) */
    const vd value = scale * tanh3_cutoff(x, slope);
    *slope *= scale;
    return value;
}

INLINE vd exponential_cutoff(vd x, vd *slope) {
    vd rest = 1.0 - x * x;
    rest = choose(rest > 1e-3, rest, splat(1e-3)); /* e^(1 - 1000) is zero, and so is the slope */
    const vd inverse = 1.0 / rest, value = 2.71828182845904523536 * exp_of_minus(inverse);
    *slope = -2.0 * x * inverse * inverse * value;
    return value;
}

INLINE vd cubic_cutoff(vd x, vd *slope) {
    *slope = -6.0 * x * (1.0 - x);
    return 1.0 - x * x * (3.0 - 2.0 * x);
}

INLINE vd septic_cutoff(vd x, vd *slope) {
    const vd s = x * x, edge = x * (1.0 - x);
    *slope = -140.0 * edge * edge * edge;
    return 1.0 - s * s * (35.0 - x * (84.0 - x * (70.0 - 20.0 * x)));
}

INLINE vd nonic_cutoff(vd x, vd *slope) {
    const vd s = x * x, edge = x * (1.0 - x), square = edge * edge;
    *slope = -630.0 * square * square;
    return 1.0 - s * s * x * (126.0 - x * (420.0 - x * (540.0 - x * (315.0 - 70.0 * x))));
}

INLINE vd polynomial_cutoff(vd x, vd *slope) {
    const vd rest = 1.0 - x;
    *slope = -30.0 * x * x * rest * rest;
    return 1.0 - x * x * x * (10.0 - 15.0 * x + 6.0 * x * x);
}
