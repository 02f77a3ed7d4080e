"""Free energies of strain and temperature: states from dynamics, their law, its fit, thermal expansion."""
