// Package charts checks the Helm chart in deploy/helm/kikuai: what it renders from several
// sets of values is decoded strictly into Kubernetes' types and held to rules of the house,
// and values that cannot work are refused with a sentence.
package charts
