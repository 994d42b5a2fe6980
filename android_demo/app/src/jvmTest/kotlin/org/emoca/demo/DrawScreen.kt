package org.emoca.demo

import org.emoca.demo.scene.Area
import org.emoca.demo.scene.HeadMesh
import org.emoca.demo.scene.Middle
import org.emoca.demo.scene.Placement
import org.emoca.demo.scene.Shading
import org.emoca.demo.screen.EmotionPanel
import org.emoca.demo.screen.PanelState
import org.emoca.demo.screen.PanelWords
import org.emoca.demo.screen.ScreenLayout
import java.awt.Color
import java.awt.Font
import java.awt.Graphics2D
import java.awt.RenderingHints
import java.awt.image.BufferedImage
import java.io.File
import javax.imageio.ImageIO
import javax.xml.parsers.DocumentBuilderFactory
import kotlin.system.exitProcess

/**
 * A picture of the app's screen, from its own layout, panel, matrices, mesh, shading and strings; only the buttons'
 * look is a stand-in for Android's. Arguments: folder of `draw_screen.py`, strings.xml, output.png, width, height,
 * density, size of text, `over` or `alone`.
 */
fun main(arguments: Array<String>) {
    System.setProperty("java.awt.headless", "true")
    val given = File(arguments[0])
    val strings = strings(File(arguments[1]))
    strings.values.firstOrNull { FONT.canDisplayUpTo(it) >= 0 }?.let {
        System.err.println("no font of this machine has the letters of \"$it\"; install one that does (Noto Sans CJK)")
        exitProcess(1)
    }
    val (width, height) = arguments[3].toInt() to arguments[4].toInt()
    val layout = ScreenLayout(width, height, arguments[5].toFloat(), arguments[6].toFloat(), BUTTONS.size)
    val image = BufferedImage(width, height, BufferedImage.TYPE_INT_RGB)
    val g = image.createGraphics()
    g.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON)
    g.setRenderingHint(RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON)
    g.color = Color(0x161A20)
    g.fillRect(0, 0, width, height)
    g.drawImage(head(given, layout.picture, arguments[7] == "alone"), layout.picture.left, layout.picture.top, null)
    val pencil = GraphicsPencil(g)
    val message = layout.message
    val middle = message.top + message.height / 2 + 0.35f * layout.textSize
    pencil.text(
        strings.getValue("situation_looking"), message.left.toFloat(), middle, layout.textSize, EmotionPanel.INK,
        org.emoca.demo.screen.Side.LEFT,
    )
    panel(g, layout, given, strings)
    for ((area, name) in layout.buttons.zip(BUTTONS)) button(pencil, area, strings.getValue(name), layout)
    g.dispose()
    ImageIO.write(image, "png", File(arguments[2]))
}

private val FONT = Font(Font.SANS_SERIF, Font.PLAIN, 12)

private val BUTTONS =
    listOf("switch_camera", "head_alone", "wireframe", "neutral", "pause", "screenshot", "record", "backend")

private fun strings(file: File): Map<String, String> {
    val nodes = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(file).getElementsByTagName("string")
    return (0 until nodes.length).associate {
        nodes.item(it).attributes.getNamedItem("name").nodeValue to nodes.item(it).textContent
    }
}

private fun head(given: File, area: Area, alone: Boolean): BufferedImage {
    val vertices = Files.floats(File(given, "vertices.f32"))
    val mesh = HeadMesh(Files.ints(File(given, "triangles.i32")), vertices.size / 3)
    val scene = Files.floats(File(given, "scene.f32")) // crop left, top, side; scale, tx, ty; photo width, height
    val scale = 2 // drawn larger, then halved: the phone's screen is finer than its picture
    val gl = SoftwareGl(scale * area.width, scale * area.height)
    val placement = Placement()
    gl.clear()
    val (photoWidth, photoHeight) = scene[6].toInt() to scene[7].toInt()
    if (alone) {
        val middle = Middle().also { it.follow(vertices) }
        placement.alone(gl.width, gl.height, middle.centre, middle.height, 0.35f, 0.05f, false)
        gl.head(placement, mesh, vertices, 1f)
    } else {
        placement.texture(gl.width, gl.height, photoWidth, photoHeight, 0, false)
        gl.picture(placement, File(given, "photo.rgb").readBytes(), photoWidth, photoHeight)
        placement.over(
            gl.width, gl.height, photoWidth, photoHeight, scene[0], scene[1], scene[2], scene.copyOfRange(3, 6), false,
        )
        gl.head(placement, mesh, vertices, Shading.COVER)
    }
    val small = BufferedImage(area.width, area.height, BufferedImage.TYPE_INT_RGB)
    val g = small.createGraphics()
    g.setRenderingHint(RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_BILINEAR)
    g.drawImage(gl.toImage(), 0, 0, area.width, area.height, null)
    g.dispose()
    return small
}

private fun panel(g: Graphics2D, layout: ScreenLayout, given: File, strings: Map<String, String>) {
    val classes = File(given, "classes.txt").readLines().filter { it.isNotEmpty() }
    val words = PanelWords(
        strings.getValue("plane_positive"), strings.getValue("plane_negative"), strings.getValue("plane_calm"),
        strings.getValue("plane_excited"), strings.getValue("timing"),
    )
    val state = PanelState(classes.map { strings.getValue("emotion_$it") }, words)
    val values = Files.floats(File(given, "emotion.f32"))
    System.arraycopy(values, 0, state.shares, 0, state.shares.size)
    state.valence = values[values.size - 2]
    state.arousal = values[values.size - 1]
    state.seen = true
    val area = layout.panel
    val inside = g.create(area.left, area.top, area.width, area.height) as Graphics2D
    EmotionPanel.draw(GraphicsPencil(inside), state, area.width, layout.density, layout.textSize)
    inside.dispose()
}

private fun button(pencil: GraphicsPencil, area: Area, text: String, layout: ScreenLayout) {
    val inset = 3 * layout.density
    pencil.bar(
        area.left + inset, area.top + inset, area.right - inset, area.bottom - inset, 4 * layout.density, 0xFF3A4350.toInt(),
    )
    var size = layout.textSize // shrinks to fit, as the buttons' text does on a phone
    while (pencil.width(text, size) > area.width - 4 * inset && size > 1) size *= 0.95f
    val base = area.top + area.height / 2f + 0.35f * size
    pencil.text(text, area.left + area.width / 2f, base, size, EmotionPanel.INK, org.emoca.demo.screen.Side.MIDDLE)
}

/** The app's pencil on a desktop's canvas. */
class GraphicsPencil(private val g: Graphics2D) : org.emoca.demo.screen.Pencil {
    init {
        g.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON)
        g.setRenderingHint(RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON)
    }

    override fun bar(left: Float, top: Float, right: Float, bottom: Float, round: Float, colour: Int) {
        g.color = Color(colour, true)
        g.fill(java.awt.geom.RoundRectangle2D.Float(left, top, right - left, bottom - top, 2 * round, 2 * round))
    }

    override fun line(fromX: Float, fromY: Float, toX: Float, toY: Float, thick: Float, colour: Int) {
        g.color = Color(colour, true)
        g.stroke = java.awt.BasicStroke(thick)
        g.draw(java.awt.geom.Line2D.Float(fromX, fromY, toX, toY))
    }

    override fun dot(x: Float, y: Float, radius: Float, colour: Int) {
        g.color = Color(colour, true)
        g.fill(java.awt.geom.Ellipse2D.Float(x - radius, y - radius, 2 * radius, 2 * radius))
    }

    fun width(text: String, size: Float): Int {
        g.font = FONT.deriveFont(size)
        return g.fontMetrics.stringWidth(text)
    }

    override fun text(text: String, x: Float, y: Float, size: Float, colour: Int, side: org.emoca.demo.screen.Side) {
        val wide = width(text, size)
        g.color = Color(colour, true)
        val left = when (side) {
            org.emoca.demo.screen.Side.LEFT -> x
            org.emoca.demo.screen.Side.MIDDLE -> x - wide / 2f
            org.emoca.demo.screen.Side.RIGHT -> x - wide
        }
        g.drawString(text, left, y)
    }
}
