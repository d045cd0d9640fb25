// Package chart draws bars over time as a PNG picture, in pure Go: stacked by series, with
// an axis of amounts on the left, marks of time below and a legend. It draws digits and
// Latin text; a character that the font has not is drawn as a question mark.
package chart
