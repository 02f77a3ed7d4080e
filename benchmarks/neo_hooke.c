/* Compressible neo-Hooke, W = lambda/2 ln^2 J - mu ln J + mu/2 (I1 - 3), written by hand, one point at a time: what any law costs at least.
 *
 *     P = lambda ln J G + mu (F - G),  A_iJkL = mu d_ik d_JL + (mu - lambda ln J) G_iL G_kJ + lambda G_iJ G_kL,  G = F^-T
 */

#include <math.h>
#include <stdint.h>

int64_t atomlaw_law(int64_t n, const double *F, const double *state, const void *parameters, double *W, double *P, double *A, double *trust) {
    const double mu = ((const double *)parameters)[0], lambda = ((const double *)parameters)[1];
    for (int64_t point = 0; point < n; ++point) {
        const double *f = F + 9 * point;
        double G[9];
        for (int i = 0; i < 3; ++i)
            for (int j = 0; j < 3; ++j) {
                const int r0 = (i + 1) % 3, r1 = (i + 2) % 3, c0 = (j + 1) % 3, c1 = (j + 2) % 3;
                G[3 * i + j] = f[3 * r0 + c0] * f[3 * r1 + c1] - f[3 * r0 + c1] * f[3 * r1 + c0];
            }
        const double J = f[0] * G[0] + f[1] * G[1] + f[2] * G[2];
        if (!(J > 0.0 && J < INFINITY)) return point;
        const double inverse = 1.0 / J, log_J = log(J);
        double I1 = 0.0;
        for (int c = 0; c < 9; ++c) G[c] *= inverse, I1 += f[c] * f[c];
        if (W) W[point] = 0.5 * lambda * log_J * log_J - mu * log_J + 0.5 * mu * (I1 - 3.0);
        if (P)
            for (int c = 0; c < 9; ++c) P[9 * point + c] = (lambda * log_J - mu) * G[c] + mu * f[c];
        if (!A) continue;
        double *a = A + 81 * point;
        const double shear = mu - lambda * log_J;
        for (int i = 0; i < 3; ++i)
            for (int j = 0; j < 3; ++j)
                for (int k = 0; k < 3; ++k)
                    for (int l = 0; l < 3; ++l)
                        a[27 * i + 9 * j + 3 * k + l] =
                            mu * (i == k && j == l) + shear * G[3 * i + l] * G[3 * k + j] + lambda * G[3 * i + j] * G[3 * k + l];
    }
    return -1;
}
