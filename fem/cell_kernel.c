/* Nodal forces and stiffness of one cell under a law, as dolfinx asks for them (fem/cell_kernel.py says what is computed).
 *
 * Before this text come, by name, the numbers of the element: DIM, POINTS, NODES, GEOMETRY_NODES, ORIENTED, AFFINE, CELLS (of a block), LANES, PADDED
 * (nodes rounded up to whole vectors), INTEGER (of PETSc) and its tables, WEIGHTS, GRADIENTS (d phi_b / d xi_k, zero in the padding) and GEOMETRY.
 *
 * w holds of each cell: u, X, the orientation R where there is one, the number of its law, and how many cells of the same law follow in w
 * (this one included). dolfinx asks for one cell after another: a law, which is quick with some thirty points together, is asked for a
 * block of cells at the first of them, and the others find their answers waiting.
 *
 * c holds the address of `report`, a number that tells forms apart, and of each law the addresses of function and parameters.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef int64_t law_function(int64_t n, const double *F, const double *state, const void *parameters, double *W, double *P, double *A,
                             double *trust);

enum {
    ROWS = POINTS * DIM,
    SIZE = NODES * DIM,
    TURN = SIZE + GEOMETRY_NODES * DIM,
    NUMBER = TURN + 9 * ORIENTED,
    STRIDE = NUMBER + 2,
    VECTORS = PADDED / LANES,
    TILE = 4
};

enum { FINE, REFUSED, NO_ENERGY, NO_STRESS, NO_TANGENT };

/* What went on in an assembly, for Python. */
typedef struct {
    double energy, trouble, place[3], det;
} report;

typedef struct {
    const double *first;  /* of w, where the block was made */
    int64_t cells;
    double form, w[CELLS][STRIDE];
    vd G[CELLS][ROWS][VECTORS];  /* dN_b/dX_J at each point, in the material's axes */
    double measure[CELLS][POINTS];
    double F[CELLS][POINTS][9], W[CELLS][POINTS], P[CELLS][POINTS][9], A[CELLS][POINTS][81];
    int64_t refused;  /* the point that the law refused, or -1 */
} block;

static void *address(double number) { return (void *)(uintptr_t)number; }

/* Gradients of the shape functions and dV at the points of a cell. */
static void gradients(const double *w, vd (*G)[VECTORS], double *measure)
{
    const double *X = w + SIZE, *R = w + TURN;
    double K[DIM][DIM], determinant = 0.0;
    for (int q = 0; q < POINTS; ++q) {
        if (q == 0 || !AFFINE) {
            double J[DIM][DIM] = {{0.0}}, inverse[DIM][DIM];
            for (int a = 0; a < GEOMETRY_NODES; ++a)
                for (int i = 0; i < DIM; ++i)
                    for (int k = 0; k < DIM; ++k) J[i][k] += X[a * DIM + i] * GEOMETRY[q][k][a];
#if DIM == 3
            for (int i = 0; i < 3; ++i)
                for (int k = 0; k < 3; ++k) {
                    const int i1 = (i + 1) % 3, i2 = (i + 2) % 3, k1 = (k + 1) % 3, k2 = (k + 2) % 3;
                    inverse[k][i] = J[i1][k1] * J[i2][k2] - J[i1][k2] * J[i2][k1];
                }
            determinant = J[0][0] * inverse[0][0] + J[0][1] * inverse[1][0] + J[0][2] * inverse[2][0];
#else
            inverse[0][0] = J[1][1], inverse[1][1] = J[0][0], inverse[0][1] = -J[0][1], inverse[1][0] = -J[1][0];
            determinant = J[0][0] * J[1][1] - J[0][1] * J[1][0];
#endif
            for (int k = 0; k < DIM; ++k)
                for (int j = 0; j < DIM; ++j) {
                    K[k][j] = 0.0;
                    for (int i = 0; i < DIM; ++i) K[k][j] += inverse[k][i] / determinant * (ORIENTED ? R[3 * i + j] : i == j);
                }
        }
        measure[q] = WEIGHTS[q] * fabs(determinant);
        for (int j = 0; j < DIM; ++j)
            for (int v = 0; v < VECTORS; ++v) {
                vd sum = {0.0};
                for (int k = 0; k < DIM; ++k) sum += K[k][j] * GRADIENTS[q][k][v];
                G[q * DIM + j][v] = sum;
            }
    }
}

/* F R = R + sum_b u_b (x) dN_b/dX: with an orientation, what the law sees (fem/orientation.py). */
static void deform(const double *w, const vd (*G)[VECTORS], double (*F)[9])
{
    vd u[DIM][VECTORS] = {{{0.0}}};
    for (int b = 0; b < NODES; ++b)
        for (int i = 0; i < DIM; ++i) u[i][b / LANES][b % LANES] = w[b * DIM + i];
    for (int q = 0; q < POINTS; ++q) {
        for (int c = 0; c < 9; ++c) F[q][c] = ORIENTED ? w[TURN + c] : c % 4 == 0;
        for (int i = 0; i < DIM; ++i)
            for (int j = 0; j < DIM; ++j) {
                vd sum = {0.0};
                for (int v = 0; v < VECTORS; ++v) sum += u[i][v] * G[q * DIM + j][v];
                for (int lane = 0; lane < LANES; ++lane) F[q][3 * i + j] += sum[lane];
            }
    }
}

/* Ask the law for a block of cells: the first `cells` at w. */
static void ask(block *own, int64_t cells, const double *w, const double *c, int tangent)
{
    own->first = w, own->form = c[1], own->cells = cells;
    memcpy(own->w, w, (size_t)cells * sizeof own->w[0]);
    for (int64_t cell = 0; cell < cells; ++cell) {
        gradients(own->w[cell], own->G[cell], own->measure[cell]);
        deform(own->w[cell], (const vd(*)[VECTORS])own->G[cell], own->F[cell]);
    }
    const double *law = c + 2 + 2 * (int)w[NUMBER];
    own->refused = ((law_function *)address(law[0]))(cells * POINTS, &own->F[0][0][0], NULL, address(law[1]),
                                                     tangent ? NULL : &own->W[0][0], tangent ? NULL : &own->P[0][0][0],
                                                     tangent ? &own->A[0][0][0] : NULL, NULL);
}

/* The place of the cell at w in the block, which is made anew where it is not there. */
static int placed(block *own, const double *w, const double *c, int tangent)
{
    const int64_t known = own->first == NULL ? -1 : (w - own->first) / STRIDE;
    if (known >= 0 && known < own->cells && own->form == c[1] && own->first + known * STRIDE == w &&
        memcmp(own->w[known], w, sizeof own->w[0]) == 0)
        return (int)known;
    const double left = w[NUMBER + 1];
    ask(own, left < CELLS ? (int64_t)left : CELLS, w, c, tangent);
    return 0;
}

/* Tell Python what is wrong at a point, the first time. */
static void tell(report *told, int trouble, const block *own, int cell, int point)
{
    if (told->trouble != FINE) return;
    const double *X = own->w[cell] + SIZE;
    told->trouble = trouble;
    for (int i = 0; i < DIM; ++i) {
        told->place[i] = 0.0;
        for (int a = 0; a < GEOMETRY_NODES; ++a) told->place[i] += X[a * DIM + i] * SHAPES[point][a];
    }
    const double *F = own->F[cell][point];
    told->det = F[0] * (F[4] * F[8] - F[5] * F[7]) - F[1] * (F[3] * F[8] - F[5] * F[6]) + F[2] * (F[3] * F[7] - F[4] * F[6]);
}

/* Tell Python that the law refused a point of the block, if it did. */
static int refused(const block *own, report *told)
{
    if (own->refused == -1) return 0;
    const int point = own->refused < 0 ? 0 : (int)own->refused;
    tell(told, REFUSED, own, point / POINTS, point % POINTS);
    return 1;
}

void nodal_forces(double *f, const double *w, const double *c, const double *x, const int *entity, const uint8_t *permutation, void *data)
{
    static _Thread_local block own;
    report *told = address(c[0]);
    const int cell = placed(&own, w, c, 0);
    if (refused(&own, told)) return;
    vd force[DIM][VECTORS] = {{{0.0}}};
    for (int q = 0; q < POINTS; ++q) {
        const double dV = own.measure[cell][q], *P = own.P[cell][q];
        double size = 0.0;
        for (int k = 0; k < 9; ++k) size += P[k];
        if (!isfinite(own.W[cell][q])) tell(told, NO_ENERGY, &own, cell, q);
        if (!isfinite(size)) tell(told, NO_STRESS, &own, cell, q);
        told->energy += dV * own.W[cell][q];
        for (int i = 0; i < DIM; ++i)
            for (int j = 0; j < DIM; ++j)
                for (int v = 0; v < VECTORS; ++v) force[i][v] += dV * P[3 * i + j] * own.G[cell][q * DIM + j][v];
    }
    for (int b = 0; b < NODES; ++b)
        for (int i = 0; i < DIM; ++i) f[b * DIM + i] += force[i][b / LANES][b % LANES];
}

/* Add the stiffness of a cell of the block to K. */
static void integrate(double *K, const block *own, int cell, report *told)
{
    const vd(*G)[VECTORS] = (const vd(*)[VECTORS])own->G[cell];
    double size = 0.0;
    for (int i = 0; i < DIM; ++i)
        for (int j = i; j < DIM; ++j) {
            vd M[ROWS][VECTORS];  /* A_iJjL dN_b/dX_L dV, so that K_aibj = sum_qJ dN_a/dX_J M_qJb */
            for (int q = 0; q < POINTS; ++q)
                for (int k = 0; k < DIM; ++k) {
                    const double *A = own->A[cell][q] + 9 * (3 * i + k) + 3 * j, dV = own->measure[cell][q];
                    for (int v = 0; v < VECTORS; ++v) {
                        vd sum = {0.0};
                        for (int l = 0; l < DIM; ++l) sum += dV * A[l] * G[q * DIM + l][v];
                        M[q * DIM + k][v] = sum;
                    }
                }
            for (int a = 0; a < NODES; a += TILE) {
                vd E[TILE][VECTORS] = {{{0.0}}};
                for (int s = 0; s < ROWS; ++s)
                    for (int t = 0; t < TILE; ++t) {
                        const double g = ((const double *)G[s])[a + t];
                        for (int v = 0; v < VECTORS; ++v) E[t][v] += g * M[s][v];
                    }
                const int rows = NODES - a < TILE ? NODES - a : TILE;
                for (int t = 0; t < rows; ++t)
                    for (int b = 0; b < NODES; ++b) {
                        const double e = ((const double *)E[t])[b];
                        K[((a + t) * DIM + i) * SIZE + b * DIM + j] += e;
                        if (i != j) K[(b * DIM + j) * SIZE + (a + t) * DIM + i] += e;
                        size += e;
                    }
            }
        }
    if (!isfinite(size)) tell(told, NO_TANGENT, own, cell, 0);
}

void stiffness(double *K, const double *w, const double *c, const double *x, const int *entity, const uint8_t *permutation, void *data)
{
    static _Thread_local block own;
    report *told = address(c[0]);
    const int cell = placed(&own, w, c, 1);
    if (!refused(&own, told)) integrate(K, &own, cell, told);
}

/* Where in its row of a CSR matrix the columns of each node begin, for each pair of nodes of a cell; -1: they have no place. */
void locate(int64_t cells, const int32_t *nodes, const INTEGER *rows, const INTEGER *columns, int32_t *places)
{
    for (int64_t pair = 0; pair < cells * NODES * NODES; ++pair) {
        const int32_t *own = nodes + pair / (NODES * NODES) * NODES;
        const INTEGER row = DIM * own[pair / NODES % NODES], column = DIM * own[pair % NODES];
        INTEGER low = 0, high = (rows[row + 1] - rows[row]) / DIM;
        while (low < high) {
            const INTEGER middle = (low + high) / 2;
            if (columns[rows[row] + DIM * middle] < column) low = middle + 1;
            else high = middle;
        }
        const int found = rows[row] + DIM * low < rows[row + 1] && columns[rows[row] + DIM * low] == column;
        places[pair] = found ? (int32_t)(DIM * low) : -1;
    }
}

/* Add the stiffness of cells to the values of a CSR matrix, save rows and columns of unknowns that are held. */
void add_stiffness(double *values, int64_t cells, const double *w, const double *c, const int32_t *nodes, const INTEGER *rows,
                   const int32_t *places, const uint8_t *held)
{
    static _Thread_local block own;
    static _Thread_local double K[SIZE][SIZE];
    report *told = address(c[0]);
    for (int64_t begin = 0; begin < cells; begin += CELLS) {
        ask(&own, cells - begin < CELLS ? cells - begin : CELLS, w + begin * STRIDE, c, 1);
        if (refused(&own, told)) return;
        for (int cell = 0; cell < own.cells; ++cell, nodes += NODES, places += NODES * NODES) {
            memset(K, 0, sizeof K);
            integrate(&K[0][0], &own, cell, told);
            for (int a = 0; a < NODES; ++a)
                for (int i = 0; i < DIM; ++i) {
                    if (held[DIM * nodes[a] + i]) continue;
                    double *row = values + rows[DIM * nodes[a] + i];
                    for (int b = 0; b < NODES; ++b)
                        for (int j = 0; j < DIM; ++j)
                            row[places[a * NODES + b] + j] += held[DIM * nodes[b] + j] ? 0.0 : K[DIM * a + i][DIM * b + j];
                }
        }
    }
}
