/* A hyperelastic law as a C function over a batch of points: fem/law.py's protocol for C. Every law has this signature.
 *
 *     F           (n, 3, 3)  deformation gradients F_iJ, x = F X
 *     state       (n, s)     what else the law depends on, s numbers a point, laid out as the law says; NULL where it needs none
 *     parameters             the law's own block: read only, position independent (it may be copied or stored), aligned to 8 bytes
 *     W           (n)        energy per reference volume
 *     P           (n, 3, 3)  first Piola-Kirchhoff stress P_iJ = dW/dF_iJ
 *     A           (n, 3, 3, 3, 3)  tangent A_iJkL = dP_iJ/dF_kL; A_iJkL = A_kLiJ holds to the last bit
 *     trust       (n)        in (0, 1], 1 among the states that the law was made from; NaN where the law does not know them
 *
 * All arrays are row-major doubles, aligned to 8 bytes; outputs overlap nothing. An output that is NULL is skipped, and what only it needs
 * is not computed. W, P and A come in the law's unit of stress.
 *
 * Returns -1, or the index of the first point that the law cannot take: det F is not positive, F is not finite, the state is none, or the
 * material cannot reach it; the outputs are then undefined. Returns -2 where the parameters are not those of this function.
 *
 * The function keeps no state of its own: any number of threads may call it at once, with the same parameters.
 */
#ifndef ATOMLAW_LAW_H
#define ATOMLAW_LAW_H

#include <stdint.h>

#define ATOMLAW_LAW_VERSION 1

#ifdef __cplusplus
extern "C" {
#endif

typedef int64_t atomlaw_law_function(int64_t n, const double *F, const double *state, const void *parameters,
                                     double *W, double *P, double *A, double *trust);

atomlaw_law_function atomlaw_law;

#ifdef __cplusplus
}
#endif
#endif
