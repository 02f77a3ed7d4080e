"""Second derivatives at work: potentials taught Hessians, and Newton steps with their Hessians and a reference's forces.

`label_hessian` and `learn_hessians` teach, `Newton` optimises; `docs/newton_steps.md` shows both.
"""
