// Package prolo is what the examples share: the names and addresses of Prologin's
// network, each machine's settings and stages as data, and the glue that hands them
// to a lab.
package prolo
