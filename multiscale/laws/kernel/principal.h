/* Isotropic laws of the principal stretches (multiscale/classical/isotropic.py has the equations): the arguments are e, and what such a law
 * is stands in the sums before any network would add to it. One point at a time. The tables hold one row: the potential's kind, the bulk
 * modulus, the number m of exponents, the exponents, then 3 coefficients of K, K^2, K^3 for each; or what else the kind has there.
 */

#define THROUGH_ARGUMENTS 0

enum { POLYNOMIAL, GENT, ARRUDA_BOYCE, CARROLL, CONVEX_NETWORK };
enum { MOST = 8 };

/* e^y - 1 - y: its series where the difference would cancel. */
static double minus_expm1(double y) {
    if (fabs(y) >= 0.1) return expm1(y) - y;
    double series = 0.0;
    for (int power = 11; power > 2; --power) series = (1.0 + series) * y / power;
    return 0.5 * y * y * (1.0 + series);
}

/* beta with coth beta - 1/beta = r and its derivative: Newton from the approximant of Cohen (1991). */
static double inverse_langevin(double r, double *slope) {
    double beta = r * (3.0 - r * r) / (1.0 - r * r);
    for (int step = 0;; ++step) {
        const double t = exp(-2.0 * beta), below = -expm1(-2.0 * beta);
        const double value = (1.0 + t) / below - 1.0 / beta, rise = 1.0 / (beta * beta) - 4.0 * t / (below * below);
        *slope = 1.0 / rise;
        if (step == 5) return beta;
        beta -= (value - r) / rise;
    }
}

static double chain_energy(double r, double beta) {
    return beta * (r - 1.0) + log(2.0 * beta) - log(-expm1(-2.0 * beta));
}

/* Psi, dPsi/dK_i and d2Psi/dK_i^2 (no potential mixes two K); infinity beyond locking. */
static double potential(int kind, int m, const double *c, const double *K, double *first, double *second) {
    double energy = 0.0;
    const double I1 = K[0] + 3.0;
    switch (kind) {
    case GENT: {
        const double mu = c[0], limit = c[1], room = 1.0 - K[0] / limit;
        if (!(K[0] < limit)) return INFINITY;
        first[0] = 0.5 * mu / room;
        second[0] = 0.5 * mu / limit / (room * room);
        return -0.5 * mu * limit * log1p(-K[0] / limit);
    }
    case ARRUDA_BOYCE: {
        const double n = c[1], r = sqrt(I1 / (3.0 * n)), rest = sqrt(1.0 / n);
        if (!(K[0] < 3.0 * (n - 1.0))) return INFINITY;
        double slope, ignored;
        const double beta = inverse_langevin(r, &slope), at_rest = inverse_langevin(rest, &ignored);
        first[0] = c[0] * beta / (6.0 * r);
        second[0] = c[0] / (36.0 * n * r) * (slope / r - beta / (r * r));
        return c[0] * n * (chain_energy(r, beta) - chain_energy(rest, at_rest));
    }
    case CARROLL: {
        const double root = sqrt(K[1] + 3.0);
        first[0] = c[0] + 4.0 * c[1] * I1 * I1 * I1;
        first[1] = 0.5 * c[2] / root;
        second[0] = 12.0 * c[1] * I1 * I1;
        second[1] = -0.25 * c[2] / (root * root * root);
        return c[0] * K[0] + c[1] * K[0] * (I1 + 3.0) * (I1 * I1 + 9.0) + c[2] * K[1] / (root + sqrt(3.0));
    }
    case CONVEX_NETWORK: { /* slopes (2), scales (2), the number of neurons; w, b, v of each */
        const double root = sqrt(K[1] + 3.0), y = K[0] / c[2];
        energy = c[0] * y + c[1] * K[1] / (root + sqrt(3.0)) * (root * root + root * sqrt(3.0) + 3.0) / c[3];
        first[0] = c[0] / c[2];
        second[0] = 0.0;
        first[1] = c[1] * 1.5 * root / c[3];
        second[1] = c[1] * 0.75 / root / c[3];
        for (const double *n = c + 5, *end = n + 3 * (int)c[4]; n < end; n += 3) {
            const double z = n[0] * y + n[1], t = exp(-fabs(z)), other = t / (1.0 + t), sigma = z < 0.0 ? other : 1.0 / (1.0 + t);
            energy += n[2] * (fmax(z, 0.0) + log1p(t) - fmax(n[1], 0.0) - log1p(exp(-fabs(n[1]))));
            first[0] += n[2] * n[0] * sigma / c[2];
            second[0] += n[2] * n[0] * n[0] * sigma * (1.0 - sigma) / (c[2] * c[2]);
        }
        return energy;
    }
    default:
        for (int i = 0; i < m; ++i, c += 3) {
            energy += K[i] * (c[0] + K[i] * (c[1] + K[i] * c[2]));
            first[i] = c[0] + K[i] * (2.0 * c[1] + K[i] * 3.0 * c[2]);
            second[i] = 2.0 * c[1] + 6.0 * c[2] * K[i];
        }
        return energy;
    }
}

/* Principal values and axes (columns of N) of a symmetric matrix: Jacobi's rotations, until nothing is left beside the diagonal. */
static void principal_axes(double E[3][3], double *value, double N[3][3]) {
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) N[i][j] = i == j;
    for (int sweep = 0; sweep < 12; ++sweep) {
        if (E[0][1] == 0.0 && E[0][2] == 0.0 && E[1][2] == 0.0) break;
        for (int p = 0; p < 2; ++p)
            for (int q = p + 1; q < 3; ++q) {
                if (E[p][q] == 0.0) continue;
                const double half = 0.5 * (E[q][q] - E[p][p]) / E[p][q];
                const double t = (half < 0.0 ? -1.0 : 1.0) / (fabs(half) + sqrt(1.0 + half * half)), c = 1.0 / sqrt(1.0 + t * t), s = t * c;
                const int r = 3 - p - q;
                const double x = E[p][r], y = E[q][r];
                E[p][p] -= t * E[p][q];
                E[q][q] += t * E[p][q];
                E[p][q] = E[q][p] = 0.0;
                E[p][r] = E[r][p] = c * x - s * y;
                E[q][r] = E[r][q] = s * x + c * y;
                for (int i = 0; i < 3; ++i) {
                    const double u = N[i][p], v = N[i][q];
                    N[i][p] = c * u - s * v;
                    N[i][q] = s * u + c * v;
                }
            }
    }
    for (int a = 0; a < 3; ++a) value[a] = E[a][a];
}

/* (lambda_a^beta - lambda_b^beta) / (E_a - E_b) of logarithmic stretches with this sum and difference. */
static double power_difference(double beta, double sum, double d) {
    return 2.0 * exp((0.5 * beta - 1.0) * sum) * (d == 0.0 ? 0.5 * beta : sinh(0.5 * beta * d) / sinh(d));
}

/* W, S (6), D (21, upper triangle) of one point; W is infinite beyond locking. */
static double principal_law(const double *law, const double *e, double *S, double *D) {
    const int kind = (int)law[0], m = (int)law[2];
    const double bulk = law[1], *alpha = law + 3;
    double E[3][3] = {{e[0], 0.5 * e[5], 0.5 * e[4]}, {0.5 * e[5], e[1], 0.5 * e[3]}, {0.5 * e[4], 0.5 * e[3], e[2]}};
    double value[3], N[3][3], x[3], lower[3], K[MOST], rise[MOST][3], mean[MOST], first[MOST], second[MOST], deviator[MOST][3];
    principal_axes(E, value, N);
    for (int a = 0; a < 3; ++a) x[a] = 0.5 * log1p(2.0 * value[a]), lower[a] = exp(-2.0 * x[a]);
    const double s = x[0] + x[1] + x[2];
    for (int i = 0; i < m; ++i) {
        K[i] = 0.0;
        for (int a = 0; a < 3; ++a) {
            const double y = alpha[i] * (x[a] - s / 3.0);
            K[i] += minus_expm1(y);
            rise[i][a] = expm1(y);
        }
        mean[i] = (rise[i][0] + rise[i][1] + rise[i][2]) / 3.0;
        for (int a = 0; a < 3; ++a) deviator[i][a] = alpha[i] * (rise[i][a] - mean[i]);
    }
    const double energy = potential(kind, m, alpha + m, K, first, second);
    if (!(energy < INFINITY)) return energy;
    const double U1 = 0.5 * bulk * expm1(2.0 * s), U2 = bulk * exp(2.0 * s);
    double tau[3], coefficient[3][3], constant = U1;
    for (int a = 0; a < 3; ++a) {
        tau[a] = U1;
        for (int i = 0; i < m; ++i) tau[a] += first[i] * deviator[i][a];
        for (int b = 0; b < 3; ++b) {
            double by_x = U2;
            for (int i = 0; i < m; ++i) {
                by_x += deviator[i][a] * second[i] * deviator[i][b];
                for (int c = 0; c < 3; ++c)
                    by_x += first[i] * alpha[i] * alpha[i] * (1.0 + rise[i][c]) * ((a == c) - 1.0 / 3.0) * ((b == c) - 1.0 / 3.0);
            }
            coefficient[a][b] = (by_x - (a == b ? 2.0 * tau[a] : 0.0)) * lower[a] * lower[b];
        }
    }
    for (int i = 0; i < m; ++i) constant -= first[i] * alpha[i] * (1.0 + mean[i]);
    double normal[3][6], shear[3][6], theta[3];
    for (int k = 0; k < 3; ++k) {
        const int a = k == 2, b = k ? 2 : 1;
        theta[k] = constant * power_difference(-2.0, x[a] + x[b], x[a] - x[b]);
        for (int i = 0; i < m; ++i)
            theta[k] += first[i] * alpha[i] * exp(-alpha[i] / 3.0 * s) * power_difference(alpha[i] - 2.0, x[a] + x[b], x[a] - x[b]);
        for (int v = 0; v < 6; ++v) {
            const int i = ROWS[v], j = COLUMNS[v];
            normal[k][v] = N[i][k] * N[j][k];
            shear[k][v] = 0.5 * (N[i][a] * N[j][b] + N[i][b] * N[j][a]);
        }
    }
    for (int v = 0, k = 0; v < 6; ++v) {
        S[v] = 0.0;
        for (int a = 0; a < 3; ++a) S[v] += tau[a] * lower[a] * normal[a][v];
        for (int w = v; w < 6; ++w, ++k) {
            D[k] = 0.0;
            for (int a = 0; a < 3; ++a) {
                D[k] += 2.0 * theta[a] * shear[a][v] * shear[a][w];
                for (int b = 0; b < 3; ++b) D[k] += normal[a][v] * coefficient[a][b] * normal[b][w];
            }
        }
    }
    return energy + 0.25 * bulk * minus_expm1(2.0 * s);
}

static void begin_arguments(block *at, const double *tables, int64_t rows) {
    for (int lane = 0; lane < LANES; ++lane) {
        double e[6], S[6], D[21];
        for (int a = 0; a < 6; ++a) e[a] = at->e[a][lane];
        at->energy[lane] = principal_law(tables, e, S, D);
        if (!(at->energy[lane] < INFINITY)) continue;
        for (int a = 0; a < 6; ++a) at->sums[a][lane] = S[a];
        for (int k = 0; k < 21; ++k) at->sums[6 + k][lane] = D[k];
    }
    for (int a = 0; a < 6; ++a) at->x[a] = splat(0.0);
}

static void end_arguments(block *at, const double *tables, int64_t rows, vd G[ARGUMENTS][6], vd *S, vd *D) {
    for (int a = 0; a < 6; ++a) S[a] = at->sums[a];
    for (int k = 0; k < 21; ++k) D[k] = at->sums[6 + k];
}
