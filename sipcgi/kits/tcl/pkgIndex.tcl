package ifneeded sipcgi 1.0 [list source [file join $dir sipcgi.tcl]]
