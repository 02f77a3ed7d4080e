/* pair_style atomlaw: a neural potential in LAMMPS, made of the same kernel as everywhere else (atomistic/lammps_plugin.py).
 *
 *     plugin load ./silicon.so
 *     pair_style atomlaw
 *     pair_coeff * * Si
 *
 * One element a LAMMPS type; units metal; newton on, since forces on ghost atoms go back to their owners.
 */

#include "atom.h"
#include "error.h"
#include "force.h"
#include "lammps.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "pair.h"
#include "update.h"

#include <cstdint>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

extern "C" {
double atomlaw_cutoff();
const char *atomlaw_symbols();
int64_t atomlaw_evaluate(int64_t atoms, int64_t all, const int64_t *first, const int32_t *neighbours, const double *positions,
                         const int32_t *elements, double *energies, double *forces, double *virial);
}

using namespace LAMMPS_NS;

namespace {

class PairAtomlaw final : public Pair {
 public:
    explicit PairAtomlaw(LAMMPS *lmp) : Pair(lmp) {
        single_enable = restartinfo = 0;
        one_coeff = manybody_flag = 1;
        // the virial of an atom is not separated from that of all
        no_virial_fdotr_compute = 1;
        std::istringstream names(atomlaw_symbols());
        for (std::string name; names >> name;) symbols.push_back(name);
    }

    ~PairAtomlaw() override {
        if (allocated) {
            memory->destroy(setflag);
            memory->destroy(cutsq);
        }
    }

    void settings(int count, char **) override {
        if (count) error->all(FLERR, "pair_style atomlaw takes no arguments: the potential is part of the plugin");
    }

    void coeff(int count, char **arguments) override {
        const int types = atom->ntypes;
        if (count != types + 2 || strcmp(arguments[0], "*") || strcmp(arguments[1], "*"))
            error->all(FLERR, "pair_coeff of atomlaw: expected * * and one element for each of the {} atom types", types);
        if (!allocated) {
            memory->create(setflag, types + 1, types + 1, "pair:setflag");
            memory->create(cutsq, types + 1, types + 1, "pair:cutsq");
            allocated = 1;
        }
        element_of_type.assign(types + 1, -1);
        for (int type = 1; type <= types; ++type) {
            for (size_t k = 0; k < symbols.size(); ++k)
                if (symbols[k] == arguments[type + 1]) element_of_type[type] = static_cast<int32_t>(k);
            if (element_of_type[type] < 0)
                error->all(FLERR, "element {} is unknown to the potential, which knows {}", arguments[type + 1], atomlaw_symbols());
        }
        for (int i = 1; i <= types; ++i)
            for (int j = 1; j <= types; ++j) setflag[i][j] = 1;
    }

    void init_style() override {
        if (!force->newton_pair) error->all(FLERR, "pair_style atomlaw needs newton on");
        if (strcmp(update->unit_style, "metal")) error->all(FLERR, "pair_style atomlaw needs units metal");
        neighbor->add_request(this, NeighConst::REQ_FULL);
    }

    double init_one(int, int) override { return atomlaw_cutoff(); }

    void compute(int eflag, int vflag) override {
        ev_init(eflag, vflag);
        if (vflag_atom) error->all(FLERR, "pair_style atomlaw does not compute a virial per atom");
        const int local = atom->nlocal, all = local + atom->nghost;
        if (neighbor->ago == 0 || first.size() != static_cast<size_t>(local) + 1) copy_list(local);
        elements.resize(all);
        for (int i = 0; i < all; ++i) elements[i] = element_of_type[atom->type[i]];
        energies.resize(local);
        double sum[9];
        const int64_t problem = atomlaw_evaluate(local, all, first.data(), neighbours.data(), local ? atom->x[0] : nullptr,
                                                 elements.data(), energies.data(), local ? atom->f[0] : nullptr, sum);
        if (problem == -2) error->one(FLERR, "no memory for the potential's workspace");
        if (problem >= 0) error->one(FLERR, "two atoms are on top of each other, or a position is not a number");
        if (eflag_global)
            for (int i = 0; i < local; ++i) eng_vdwl += energies[i];
        if (eflag_atom)
            for (int i = 0; i < local; ++i) eatom[i] += energies[i];
        if (vflag_global) {
            // LAMMPS' virial is minus the derivative of the energy by strain: xx yy zz xy xz yz
            const int at[6] = {0, 4, 8, 1, 2, 5}, mirror[6] = {0, 4, 8, 3, 6, 7};
            for (int k = 0; k < 6; ++k) virial[k] -= 0.5 * (sum[at[k]] + sum[mirror[k]]);
        }
    }

 private:
    std::vector<std::string> symbols;
    std::vector<int32_t> element_of_type, elements, neighbours;
    std::vector<int64_t> first;
    std::vector<double> energies;

    void copy_list(int local) {
        first.assign(local + 1, 0);
        for (int k = 0; k < list->inum; ++k) first[list->ilist[k] + 1] = list->numneigh[list->ilist[k]];
        for (int i = 0; i < local; ++i) first[i + 1] += first[i];
        neighbours.resize(first[local]);
        for (int k = 0; k < list->inum; ++k) {
            const int i = list->ilist[k];
            for (int n = 0; n < list->numneigh[i]; ++n) neighbours[first[i] + n] = list->firstneigh[i][n] & NEIGHMASK;
        }
    }
};

Pair *create_pair(LAMMPS *lmp) { return new PairAtomlaw(lmp); }

/* the layout that `plugin load` expects */
struct Plugin {
    const char *version, *style, *name, *info, *author;
    Pair *(*create)(LAMMPS *);
    void *handle;
};

}    // namespace

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(void *lmp, void *handle, void *registration) {
    Plugin plugin = {static_cast<LAMMPS *>(lmp)->version, "pair", "atomlaw", "atomlaw neural potential", "atomlaw", create_pair, handle};
    reinterpret_cast<void (*)(Plugin *, void *)>(registration)(&plugin, lmp);
}
