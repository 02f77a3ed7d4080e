/* A potential over many atoms, in batches and threads. A set of descriptors comes before this text and defines
 *
 *     MODEL       its type, with members `cutoff` and `networks` (ELEMENTS);
 *     EVALUATE    the name of the function that others call;
 *     inputs_of, inner_cutoff (of an element), vectors_kept (of an atom, from descriptors to forces), workspace_vectors;
 *     find_descriptors(model, element, atom, workspace, lane): lane[k * LANES] = descriptor k;
 *     add_atom_forces(model, element, atom, lane, workspace, sums): lane[k * LANES] = dE / d descriptor k.
 */

#include <pthread.h>
#include <stdlib.h>

typedef struct {
    const MODEL *model;
    const neighbour_rows *rows;
    int64_t begin, end, longest;
    double *energies;
    sums_of_forces sums;
    int64_t problem; /* -1: none, -2: no memory, else the place in the list of a neighbour on top of its atom */
} share;

static void *run_share(void *argument) {
    share *job = argument;
    const MODEL *model = job->model;
    int64_t network = 0, inputs = 0;
    for (int element = 0; element < ELEMENTS; ++element) {
        const int64_t wanted = network_workspace(&model->networks[element]), width = whole_tiles(inputs_of(model, element));
        network = wanted > network ? wanted : network;
        inputs = width > inputs ? width : inputs;
    }
    const int64_t capacity = (job->longest + (ELEMENTS + 2) * LANES + 15) / 16 * 16;
    const int64_t kept = vectors_kept(model), workspace = workspace_vectors(model, capacity);
    const int64_t neighbour_bytes = 5 * capacity * 8 + capacity * 4, vector = sizeof(vd);
    const int64_t bytes = (LANES + 1) * (neighbour_bytes + capacity * 4) + (LANES * kept + workspace + inputs + network) * vector
                          + 64 * (8 * LANES + 16);
    char *block = malloc(bytes);
    if (!block) {
        job->problem = -2;
        return 0;
    }
    arena from = {block + (64 - (uintptr_t)block % 64) % 64};
    candidates all;
    all.x = take(&from, capacity * 8);
    all.y = take(&from, capacity * 8);
    all.z = take(&from, capacity * 8);
    all.square = take(&from, capacity * 8);
    all.target = take(&from, capacity * 4);
    all.element = take(&from, capacity * 4);
    occupant batch[LANES];
    for (int lane = 0; lane < LANES; ++lane) {
        environment *at = &batch[lane].at;
        at->x = take(&from, capacity * 8);
        at->y = take(&from, capacity * 8);
        at->z = take(&from, capacity * 8);
        at->r = take(&from, capacity * 8);
        at->inverse = take(&from, capacity * 8);
        at->target = take(&from, capacity * 4);
        batch[lane].kept = take(&from, kept * vector);
    }
    vd *free_vectors = take(&from, workspace * vector), *x = take(&from, inputs * vector);
    vd *activations = take(&from, network * vector);
    memset(x, 0, inputs * vector);

    for (int element = 0; element < ELEMENTS; ++element) {
        const double inner = inner_cutoff(model, element);
        int occupied = 0;
        for (int64_t i = job->begin; i <= job->end; ++i) {
            if (i < job->end && job->rows->elements[i] == element) {
                occupant *here = &batch[occupied];
                here->atom = i;
                job->problem = find_environment(job->rows, i, inner, model->cutoff, &all, &here->at);
                if (job->problem >= 0) goto done;
                find_descriptors(model, element, here, free_vectors, (double *)x + occupied);
                ++occupied;
            }
            if (occupied == LANES || (i == job->end && occupied)) {
                const vd energy = evaluate_network(&model->networks[element], inputs_of(model, element), x, activations);
                for (int k = 0; k < occupied; ++k) {
                    job->energies[batch[k].atom] = energy[k];
                    add_atom_forces(model, element, &batch[k], (const double *)x + k, free_vectors, &job->sums);
                }
                occupied = 0;
            }
        }
    }
done:
    free(block);
    return 0;
}

/* A thread takes as long to start as some dozen atoms. */
enum { FEWEST = 64 };

/* Energies (atoms) of the atoms 0 ... atoms - 1, forces (owners, 3) and virial (9) sum dE/dr (x) r of their sum; forces are added to
 * what is there. Returns -1; -2 where memory is short; else the place in the list of a neighbour closer than CLOSEST to its atom,
 * or at no number. Each thread has at least FEWEST atoms; their number changes the last digits. */
int64_t EVALUATE(const MODEL *model, const neighbour_rows *rows, int64_t atoms, int64_t owners, int64_t threads, double *energies,
                 double *forces, double *virial) {
    int64_t longest = 0;
    for (int64_t i = 0; i < atoms; ++i) {
        const int64_t length = rows->first[i + 1] - rows->first[i];
        longest = length > longest ? length : longest;
    }
    threads = threads > atoms / FEWEST ? atoms / FEWEST : threads;
    threads = threads < 1 ? 1 : threads;
    share *shares = 0;
    pthread_t *running = malloc(threads * sizeof *running);
    double *buffers = threads > 1 ? calloc((threads - 1) * owners + 1, 3 * sizeof *buffers) : 0;
    if (!running || (threads > 1 && !buffers) || posix_memalign((void **)&shares, 64, threads * sizeof *shares)) {
        free(running);
        free(buffers);
        return -2;
    }
    for (int64_t t = 0; t < threads; ++t)
        shares[t] = (share){
            .model = model,
            .rows = rows,
            .begin = atoms * t / threads,
            .end = atoms * (t + 1) / threads,
            .longest = longest,
            .energies = energies,
            .sums.forces = t ? buffers + 3 * owners * (t - 1) : forces,
            .problem = -1,
        };
    int64_t started = 1;
    while (started < threads && !pthread_create(&running[started], 0, run_share, &shares[started])) ++started;
    run_share(&shares[0]);
    /* where no more threads can be had, this one does their work */
    for (int64_t t = started; t < threads; ++t) run_share(&shares[t]);
    int64_t problem = shares[0].problem;
    for (int i = 0; i < 9; ++i) virial[i] = sum_of_lanes(shares[0].sums.virial[i]);
    for (int64_t t = 1; t < threads; ++t) {
        const share *job = &shares[t];
        if (t < started) pthread_join(running[t], 0);
        if (problem == -1) problem = job->problem;
        for (int i = 0; i < 9; ++i) virial[i] += sum_of_lanes(job->sums.virial[i]);
        for (int64_t i = 0; i < 3 * owners; ++i) forces[i] += job->sums.forces[i];
    }
    free(running);
    free(buffers);
    free(shares);
    return problem;
}
