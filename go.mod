module github.com/prologin/rig

go 1.26.0
