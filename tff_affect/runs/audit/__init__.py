"""What an audit knows of run folders: shadow runs, and what a run's own files give an attacker."""
