// Package containers holds the Dockerfiles, .dockerignore and compose.yaml of the
// deployment to rules, where no container engine is at hand: they are read by BuildKit's
// and Compose's own parsers, and the steps of a build are taken by hand
// (make prove-image).
package containers
