"""An experiment: arms (what is kept) x seeds, each selected, trained and measured; what the recipes share."""
