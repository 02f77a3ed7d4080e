/* The neighbours of one atom within the cutoff: filtered out of a list with a skin, grouped by element, inner ones first.
 *
 * A list is a compressed row an atom. Positions and elements are those of all atoms, ghost images included; forces are added to
 * atom owner[j] for a neighbour j, or j itself where owner is NULL. Each element's group is filled up with idle neighbours to
 * whole vectors: at a distance of the cutoff, where every function ends, and acting on the atom itself.
 */

#include <string.h>

#define CLOSEST 0.1 /* Angstrom; atoms nearer than this are on top of each other (atomistic/neighbour_list.py says so too) */

typedef struct {
    const int64_t *first;      /* (atoms + 1) begin of each atom's row */
    const int32_t *neighbours; /* indices of atoms, ghosts included */
    const double *positions;   /* (all, 3) */
    const int32_t *elements;   /* (all) */
    const int32_t *owner;      /* (all) or NULL */
} neighbour_rows;

typedef struct {
    int64_t capacity;                   /* numbers in each array */
    double *x, *y, *z, *r, *inverse;    /* unit vector to the neighbour, distance, 1 / distance */
    int32_t *target;                    /* atom that the neighbour is or images */
    int64_t begin[ELEMENTS + 1];        /* first vector of each element's neighbours */
    int64_t inner[ELEMENTS];            /* vectors, from begin on, with neighbours within the inner cutoff */
} environment;

typedef struct {
    double *x, *y, *z, *square;
    int32_t *target, *element;
} candidates;

INLINE vd vectors_of(const double *array, int64_t k) { return ((const vd *)array)[k]; }

/* Entries of the candidates with low <= r^2 < high and the element are appended at `count`; returns the new count. */
INLINE int64_t append(const candidates *all, int64_t n, int32_t element, double low, double high, environment *at, int64_t count) {
    (void)element;
#if defined(__AVX512F__)
    const __m512d from = _mm512_set1_pd(low), to = _mm512_set1_pd(high);
    for (int64_t k = 0; k < n; k += 8) {
        const __m512d square = _mm512_load_pd(all->square + k);
        __mmask8 mask = _mm512_cmp_pd_mask(square, from, _CMP_GE_OQ) & _mm512_cmp_pd_mask(square, to, _CMP_LT_OQ);
        const __m512i target = _mm512_castsi256_si512(_mm256_load_si256((const __m256i *)(all->target + k)));
        if (ELEMENTS > 1) {
            const __m512i elements = _mm512_castsi256_si512(_mm256_load_si256((const __m256i *)(all->element + k)));
            mask &= (__mmask8)_mm512_cmpeq_epi32_mask(elements, _mm512_set1_epi32(element));
        }
        _mm512_storeu_pd(at->x + count, _mm512_maskz_compress_pd(mask, _mm512_load_pd(all->x + k)));
        _mm512_storeu_pd(at->y + count, _mm512_maskz_compress_pd(mask, _mm512_load_pd(all->y + k)));
        _mm512_storeu_pd(at->z + count, _mm512_maskz_compress_pd(mask, _mm512_load_pd(all->z + k)));
        _mm512_storeu_pd(at->r + count, _mm512_maskz_compress_pd(mask, square));
        const __m512i kept = _mm512_maskz_compress_epi32((__mmask16)mask, target);
        _mm256_storeu_si256((__m256i *)(at->target + count), _mm512_castsi512_si256(kept));
        count += __builtin_popcount(mask);
    }
#else
    for (int64_t k = 0; k < n; ++k) {
        const double square = all->square[k];
        at->x[count] = all->x[k];
        at->y[count] = all->y[k];
        at->z[count] = all->z[k];
        at->r[count] = square;
        at->target[count] = all->target[k];
        count += (low <= square) & (square < high) & (ELEMENTS == 1 || all->element[k] == element);
    }
#endif
    return count;
}

/* Returns -1, or the place in the list of a neighbour on top of the atom (or of one whose position is not a number). */
static int64_t find_environment(const neighbour_rows *rows, int64_t atom, double inner, double cutoff, candidates *all, environment *at) {
    const int64_t begin = rows->first[atom], n = rows->first[atom + 1] - begin;
    const int32_t *restrict row = rows->neighbours + begin;
    const double *restrict positions = rows->positions;
    const double x0 = positions[3 * atom], y0 = positions[3 * atom + 1], z0 = positions[3 * atom + 2];
    double *restrict x = all->x, *restrict y = all->y, *restrict z = all->z, *restrict square = all->square;
    int64_t bad = 0;
    for (int64_t k = 0; k < n; ++k) {
        const int64_t j = row[k];
        x[k] = positions[3 * j] - x0;
        y[k] = positions[3 * j + 1] - y0;
        z[k] = positions[3 * j + 2] - z0;
        square[k] = x[k] * x[k] + y[k] * y[k] + z[k] * z[k];
        bad += !(square[k] >= CLOSEST * CLOSEST);
    }
    if (bad)
        for (int64_t k = 0;; ++k)
            if (!(square[k] >= CLOSEST * CLOSEST)) return begin + k;
    if (rows->owner)
        for (int64_t k = 0; k < n; ++k) all->target[k] = rows->owner[row[k]];
    else
        memcpy(all->target, row, n * sizeof *row);
    if (ELEMENTS > 1)
        for (int64_t k = 0; k < n; ++k) all->element[k] = rows->elements[row[k]];
    /* a last vector that is not full must not be taken for neighbours */
    for (int64_t k = n; k % LANES; ++k) square[k] = HUGE_VAL;

    int64_t count = 0;
    for (int32_t element = 0; element < ELEMENTS; ++element) {
        at->begin[element] = count / LANES;
        const int64_t inside = append(all, n, element, 0.0, inner * inner, at, count);
        at->inner[element] = VECTORS(inside - count);
        count = inner < cutoff ? append(all, n, element, inner * inner, cutoff * cutoff, at, inside) : inside;
        for (; count % LANES; ++count) {
            at->x[count] = cutoff;
            at->y[count] = at->z[count] = 0.0;
            at->r[count] = cutoff * cutoff;
            at->target[count] = (int32_t)atom;
        }
    }
    at->begin[ELEMENTS] = count / LANES;
    double *restrict ux = at->x, *restrict uy = at->y, *restrict uz = at->z, *restrict r = at->r, *restrict inverse = at->inverse;
    for (int64_t k = 0; k < count; ++k) {
        r[k] = sqrt(r[k]);
        inverse[k] = 1.0 / r[k];
        ux[k] *= inverse[k];
        uy[k] *= inverse[k];
        uz[k] *= inverse[k];
    }
    return -1;
}

/* What a thread adds up: dE/dr of the vector k of neighbours acts on both ends; the virial is sum dE/dr (x) r. */
typedef struct {
    double *forces; /* (all atoms that own, 3) */
    vd virial[9];
} sums_of_forces;

INLINE void add_forces(const environment *at, int64_t k, const vd *gradient, vd *own, sums_of_forces *sums) {
    const vd r = vectors_of(at->r, k);
    const vd along[3] = {vectors_of(at->x, k) * r, vectors_of(at->y, k) * r, vectors_of(at->z, k) * r};
    UNROLL
    for (int a = 0; a < 3; ++a) {
        own[a] += gradient[a];
        UNROLL
        for (int b = 0; b < 3; ++b) sums->virial[3 * a + b] += gradient[a] * along[b];
    }
    const int32_t *target = at->target + k * LANES;
    for (int lane = 0; lane < LANES; ++lane) {
        double *force = sums->forces + 3 * (int64_t)target[lane];
        force[0] -= gradient[0][lane];
        force[1] -= gradient[1][lane];
        force[2] -= gradient[2][lane];
    }
}

/* An atom of a batch: its neighbours, and what its descriptors keep for its forces. */
typedef struct {
    environment at;
    int64_t atom;
    vd *kept;
} occupant;

/* Memory in pieces aligned for vectors, out of one block. */
typedef struct {
    char *next;
} arena;

INLINE void *take(arena *from, int64_t bytes) {
    void *piece = from->next;
    from->next += (bytes + 63) / 64 * 64;
    return piece;
}
