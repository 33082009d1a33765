// Package prolo is what the examples share: the names and addresses of
// Prologin's network, the stages of each machine as data, and the glue that
// hands rig's five packages to one another.
package prolo
